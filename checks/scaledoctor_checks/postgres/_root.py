"""Who is at the root of the waiting, as it was seen over the window."""

from dataclasses import dataclass, field
from itertools import pairwise

from scaledoctor.sources.postgres import Session


@dataclass(slots=True)
class Root:
    """One root of blocking; times are in samples x sessions.

    ``blocked`` is the time charged to it, ``seen`` its sessions when it was a root, ``victims``
    the waiting sessions, ``until`` the last sample at which it was one. For queued DDL ``holders``
    are those whom it waits for itself. ``sharers`` may hold the same row's lock beside it, in a
    mode that several can have. ``replayed`` on a standby: the replay of the WAL stands between it
    and its victims. ``turn``: it waited for the same before, as its victims do now.
    """

    pid: int
    blocked: float = 0.0
    seen: list[Session] = field(default_factory=list)
    victims: list[Session] = field(default_factory=list)
    until: float = 0.0
    queued: bool = False
    relation: str = ""
    holders: dict[int, Session] = field(default_factory=dict)
    sharers: dict[int, Session] = field(default_factory=dict)
    replayed: bool = False
    turn: bool = False

    @property
    def session(self) -> Session:
        """The root as it was last seen."""
        return self.seen[-1]

    @property
    def idle(self) -> bool:
        """It did nothing in its open transaction most of the times it was the root."""
        return sum(s.idle_in_transaction for s in self.seen) * 2 > len(self.seen)

    @property
    def committing(self) -> bool:
        """It waited for a synchronous standby most of the times it was the root."""
        return sum(s.wait_event == "SyncRep" for s in self.seen) * 2 > len(self.seen)

    @property
    def stays(self) -> bool:
        """It was one and the same transaction all the time it was at the root."""
        ages = [s.transaction_age or 0.0 for s in self.seen]
        return all(later >= earlier for earlier, later in pairwise(ages))

    @property
    def one_of_them(self) -> bool:
        """It works, and most that wait for it are of its own application."""
        same = sum(v.label == self.session.label for v in self.victims)
        return not self.idle and same * 2 > len(self.victims)

    def label_of(self, pid: int) -> str:
        """The application of the root or of one that shares its lock."""
        return (self.sharers.get(pid) or self.session).label

    @property
    def victim_labels(self) -> str:
        """The applications that wait, most first."""
        counts: dict[str, set[int]] = {}
        for victim in self.victims:
            counts.setdefault(victim.label, set()).add(victim.pid)
        ranked = sorted(counts.items(), key=lambda item: -len(item[1]))
        return ", ".join(f"{label} ({len(pids)})" for label, pids in ranked[:3])

    @property
    def most_waiting(self) -> int:
        """How many different sessions waited for it."""
        return len({victim.pid for victim in self.victims})
