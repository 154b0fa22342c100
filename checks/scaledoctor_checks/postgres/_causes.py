"""From one waiting session up to whoever is at the root of it, in one sample."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from scaledoctor.sources.postgres import Activity, LockTable, Session
from scaledoctor_checks.postgres._conflicts import conflicts

PREPARED = 0
"""pg_blocking_pids gives 0 for a prepared transaction, which has no session."""

CYCLE = -1
"""The root of sessions that wait for each other: a deadlock that is not yet detected."""

_SHARES = re.compile(r"\bfor\s+(key\s+)?share\b|^\s*(insert|update|merge|copy)\b", re.I)
"""The last statement of a session whose lock on a row may be one that others have too: it asked
for one, or its foreign key did."""


class Cause(NamedTuple):
    """A root: its pid, the relation of its own queued request, and whether replay is between."""

    pid: int
    queued: str = ""
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """One sample: everybody by pid, the locks, and by pid whoever may share a row's lock with it.

    ``replay`` is the pid of the process that replays WAL on a standby.
    """

    by_pid: Mapping[int, Session]
    table: LockTable
    sharers: Mapping[int, frozenset[int]]
    replay: int | None

    @classmethod
    def of(cls, activity: Activity, table: LockTable) -> "Scene":
        """Put a sample of the sessions and the locks together."""
        by_pid = {s.pid: s for s in (*activity.workers, *activity.sessions)}
        replay = activity.replay
        return cls(by_pid, table, _sharers(by_pid, table), replay.pid if replay else None)

    def ahead(self, session: Session) -> tuple[int, ...]:
        """Whom a session waits for; the lock table tells it of the replay."""
        return session.blockers or self.table.ahead(session.pid)


def causes(waiter: Session, scene: Scene) -> Iterator[Cause]:
    """Yield the roots that one waiter waits for, by walking up the blockers."""
    pending, seen, rooted = list(waiter.blockers), set[int](), False
    replayed = scene.replay in pending
    while pending:
        pid = pending.pop()
        if pid in seen:
            continue
        seen.add(pid)
        blocker = scene.by_pid.get(pid)
        above = scene.ahead(blocker) if blocker and blocker.blocked else ()
        request = _queued_in_front(waiter, blocker, above, scene.table) if blocker else ""
        request = "" if pid == scene.replay else request
        if not above or request:
            rooted = True
            yield Cause(min(scene.sharers.get(pid, {pid})), request, replayed)
        else:
            replayed = replayed or scene.replay in above
            pending.extend(above)
    # Whoever waits, and for nobody who does not wait, is in a ring or behind one.
    if seen and (waiter.pid in seen or not rooted):
        yield Cause(CYCLE)


def _queued_in_front(
    waiter: Session, blocker: Session, above: tuple[int, ...], table: LockTable
) -> str:
    """The relation on which the waiter queues behind a request that is itself still waiting.

    Empty when the holder's own lock would stop the waiter anyway.
    """
    wants, request = table.awaited(waiter.pid), table.awaited(blocker.pid)
    if not wants or not request or request.kind != "relation" or wants.kind != "relation":
        return ""
    if not request.relation or wants.relation != request.relation:
        return ""
    held = {mode for pid in above for mode in table.held(pid, request.relation)}
    return "" if conflicts(wants.mode, held) else request.relation


def _sharers(by_pid: Mapping[int, Session], table: LockTable) -> Mapping[int, frozenset[int]]:
    """By pid of a blocker, those who may hold the awaited row's lock together.

    A writer waits for one of them after the other, and the server names only the one in front.
    """
    found: dict[int, frozenset[int]] = {}
    for waiter in by_pid.values():
        if not waiter.blocked or waiter.wait_event != "transactionid":
            continue
        together = frozenset(p for p in table.row_lockers(waiter.pid) if _shares(by_pid.get(p)))
        if len(together) > 1:
            found.update({p: together for p in waiter.blockers if p in together})
    return found


def _shares(session: Session | None) -> bool:
    """Whether it holds rows in a mode that others can have too, as far as its last words tell."""
    if session is None or session.blocked or session.xid_age is None:
        return False
    return bool(_SHARES.search(session.query))
