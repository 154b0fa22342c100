"""Blocked session-time, charged to whoever is at the root of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from scaledoctor.model import Severity
from scaledoctor.sdk import Window
from scaledoctor.sources.postgres import Activity, LockTable, Session

# PostgreSQL's table-level lock conflicts (manual, section "Table-Level Locks"), weakest first.
_CONFLICTS: Mapping[str, frozenset[str]] = {
    "AccessShareLock": frozenset({"AccessExclusiveLock"}),
    "RowShareLock": frozenset({"ExclusiveLock", "AccessExclusiveLock"}),
    "RowExclusiveLock": frozenset(
        {"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"}
    ),
    "ShareUpdateExclusiveLock": frozenset(
        {"ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock", "ExclusiveLock",
         "AccessExclusiveLock"}
    ),
    "ShareLock": frozenset(
        {"RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareRowExclusiveLock", "ExclusiveLock",
         "AccessExclusiveLock"}
    ),
    "ShareRowExclusiveLock": frozenset(
        {"RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock",
         "ExclusiveLock", "AccessExclusiveLock"}
    ),
    "ExclusiveLock": frozenset(
        {"RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock",
         "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"}
    ),
}  # fmt: skip

PREPARED = 0
"""pg_blocking_pids gives 0 for a prepared transaction, which has no session."""

OTHERS = 3
"""Sessions that go on with their work, from which one waiting session is nobody's bottleneck."""

FOLLOWERS = 3
"""Spares that wait for a leader's lock; beyond it a queue is work that waits (our own choice)."""

CYCLE = -1
"""The root of sessions that wait for each other: a deadlock that is not yet detected."""


@dataclass(slots=True)
class Root:
    """One root of blocking; times are in samples x sessions.

    ``blocked`` is the time charged to it, ``seen`` its sessions when it was a root, ``victims``
    the waiting sessions, ``holders`` (for queued DDL) whom it waits for itself.
    """

    pid: int
    blocked: float = 0.0
    seen: list[Session] = field(default_factory=list)
    victims: list[Session] = field(default_factory=list)
    queued: bool = False
    relation: str = ""
    holders: dict[int, Session] = field(default_factory=dict)

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


@dataclass(frozen=True, slots=True)
class Blocking:
    """The whole window: blocked and working time (samples x sessions) and the roots by pid.

    ``unhindered`` counts the sessions that worked and were never blocked.
    """

    samples: int
    blocked: float
    busy: float
    roots: Mapping[int, Root]
    unhindered: int

    def share(self, root: Root) -> float:
        """Share of all blocked time that is this root's."""
        return root.blocked / self.blocked if self.blocked else 0.0

    def impact(self, root: Root) -> float:
        """Share of the working sessions' time that ends with this root."""
        return root.blocked / self.busy if self.busy else 0.0

    def severity(self, root: Root) -> Severity:
        """By its impact; low when a single session waits while others go on with their work."""
        if root.most_waiting == 1 and self.unhindered >= OTHERS:
            return Severity.LOW
        return severity(self.impact(root))

    def mean(self, root: Root) -> float:
        """Mean number of sessions that it keeps waiting."""
        return root.blocked / self.samples


def blocking(window: Window[Activity], locks: Window[LockTable] | None) -> Blocking:
    """Charge every sample's blocked sessions to their roots.

    A waiter with several roots is split evenly. Sessions that queue behind a strong lock request
    are charged to the request when the lock's holder alone would have let them pass.
    """
    roots: dict[int, Root] = {}
    blocked = busy = 0.0
    hindered, worked = set[int](), set[int]()
    tables = _tables(window, locks)
    for at, activity in window.samples:
        by_pid = {s.pid: s for s in (*activity.workers, *activity.sessions)}
        at_work = working(activity, window.seconds)
        busy += len(at_work)
        worked |= {s.pid for s in at_work}
        for waiter in waiters(activity):
            hindered.add(waiter.pid)
            blocked += 1
            causes = sorted(set(_causes(waiter, by_pid, tables.get(at, LockTable(())))))
            for pid, request in causes:
                root = roots.setdefault(pid, Root(pid))
                root.blocked += 1 / len(causes)
                root.victims.append(waiter)
                _describe(root, request, by_pid)
    return Blocking(len(window), blocked, busy, roots, len(worked - hindered))


def working(activity: Activity, seconds: float) -> list[Session]:
    """Sessions that run or wait, or ran something in the last ``seconds``: the window's clients.

    On a quick server few of them are active in any one sample.
    """
    standing = {s.pid for s in _standing_by(activity)}
    return [
        s
        for s in activity.sessions
        if s.pid not in standing
        and (s.active or s.blocked or (s.state_age is not None and s.state_age < seconds))
    ]


def waiters(activity: Activity) -> list[Session]:
    """Sessions that wait for another one's lock against their will."""
    standing = {s.pid for s in _standing_by(activity)}
    return [s for s in activity.sessions if s.blocked and s.pid not in standing]


def _standing_by(activity: Activity) -> list[Session]:
    """The followers of a leader: a few sessions of one application wait for its advisory lock.

    The leader is idle between its jobs and means to keep the lock. More than ``FOLLOWERS`` of one
    application are no spares any more.
    """
    leaders = {s.pid: s.label for s in activity.sessions if s.state == "idle"}
    queue = [s for s in activity.sessions if s.blocked and s.wait_event == "advisory"]
    standing: list[Session] = []
    for label in {s.label for s in queue}:
        mine = [s for s in queue if s.label == label]
        pids = {s.pid for s in mine}
        led = all(leaders.get(pid) == label or pid in pids for s in mine for pid in s.blockers)
        if led and len(mine) <= FOLLOWERS:
            standing += mine
    return standing


def _tables(window: Window[Activity], locks: Window[LockTable] | None) -> dict[float, LockTable]:
    """Pair every activity sample with the lock table that was read right after it."""
    found: dict[float, LockTable] = {}
    for at, _ in window.samples:
        later = [(t, table) for t, table in (locks.samples if locks else ()) if t >= at]
        if later:
            found[at] = later[0][1]
    return found


def _describe(root: Root, relation: str, by_pid: Mapping[int, Session]) -> None:
    if root.pid in by_pid:
        root.seen.append(by_pid[root.pid])
    if relation:
        root.queued, root.relation = True, relation
        for pid in by_pid[root.pid].blockers:
            if pid in by_pid:
                root.holders[pid] = by_pid[pid]


def _causes(
    waiter: Session, by_pid: Mapping[int, Session], table: LockTable
) -> Iterator[tuple[int, str]]:
    """Yield (root pid, relation of its queued request or "") by walking up the blockers."""
    pending, seen, rooted = list(waiter.blockers), set[int](), False
    while pending:
        pid = pending.pop()
        if pid in seen:
            continue
        seen.add(pid)
        blocker = by_pid.get(pid)
        relation = _queued_in_front(waiter, blocker, table) if blocker else ""
        if blocker is None or not blocker.blocked or relation:
            rooted = True
            yield pid, relation
        else:
            pending.extend(blocker.blockers)
    # Whoever waits, and for nobody who does not wait, is in a ring or behind one.
    if seen and (waiter.pid in seen or not rooted):
        yield CYCLE, ""


def _queued_in_front(waiter: Session, blocker: Session, table: LockTable) -> str:
    """The relation on which the waiter queues behind a request that is itself still waiting.

    Empty when the holder's own lock would stop the waiter anyway.
    """
    wants, request = table.awaited(waiter.pid), table.awaited(blocker.pid)
    if not wants or not request or request.kind != "relation" or wants.kind != "relation":
        return ""
    if not request.relation or wants.relation != request.relation:
        return ""
    held = {mode for pid in blocker.blockers for mode in table.held(pid, request.relation)}
    return "" if conflicts(wants.mode, held) else request.relation


def conflicts(wanted: str, held: set[str]) -> bool:
    """Whether any held table lock refuses the wanted one."""
    if wanted == "AccessExclusiveLock":
        return bool(held)
    return bool(_CONFLICTS.get(wanted, frozenset()) & held)


def severity(impact: float) -> Severity:
    """By the share of busy time that is lost: half is critical, a fifth high."""
    if impact >= 0.5:
        return Severity.CRITICAL
    return Severity.HIGH if impact >= 0.2 else Severity.MEDIUM
