"""Blocked session-time, charged to whoever is at the root of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from scaledoctor.model import Severity
from scaledoctor.sdk import Window
from scaledoctor.sources.postgres import Activity, LockTable, Session
from scaledoctor_checks.postgres._causes import Cause, Scene, causes
from scaledoctor_checks.postgres._root import Root

OTHERS = 3
"""Sessions that go on with their work, from which one waiting session is nobody's bottleneck."""

FOLLOWERS = 3
"""Spares that wait for a leader's lock; beyond it a queue is work that waits (our own choice)."""


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
        scene = Scene.of(activity, tables.get(at, LockTable(())))
        at_work = working(activity, window.seconds)
        busy += len(at_work)
        worked |= {s.pid for s in at_work}
        for waiter in waiters(activity):
            hindered.add(waiter.pid)
            blocked += 1
            found = sorted(set(causes(waiter, scene)))
            for cause in found:
                root = roots.setdefault(cause.pid, Root(cause.pid))
                root.blocked += 1 / len(found)
                root.victims.append(waiter)
                root.until = at
                _describe(root, cause, scene)
    _take_turns(roots, window.samples[-1][0])
    return Blocking(len(window), blocked, busy, roots, len(worked - hindered))


def _describe(root: Root, cause: Cause, scene: Scene) -> None:
    if root.pid in scene.by_pid:
        root.seen.append(scene.by_pid[root.pid])
    root.replayed |= cause.replayed
    for pid in scene.sharers.get(root.pid, ()):
        root.sharers[pid] = scene.by_pid[pid]
    if cause.queued:
        root.queued, root.relation = True, cause.queued
        for pid in scene.by_pid[root.pid].blockers:
            if pid in scene.by_pid:
                root.holders[pid] = scene.by_pid[pid]


def _take_turns(roots: Mapping[int, Root], end: float) -> None:
    """Mark the roots that stand in one queue: each gets its turn, and holds up the next.

    One that waited with the statement with which others now wait for it; and the one before it,
    which is done. One that is quick enough to get its turn twice in a row is known by its kind.
    """
    waited: dict[int, set[str]] = {}
    for victim in (v for root in roots.values() for v in root.victims):
        waited.setdefault(victim.pid, set()).add(victim.query)
    for root in roots.values():
        same = waited.get(root.pid, set()) & {v.query for v in root.victims}
        root.turn = bool(root.seen) and (bool(same) if root.stays else root.one_of_them)
    turns = {root.pid for root in roots.values() if root.turn}
    for root in roots.values():
        done = root.until < end and bool(root.seen) and root.stays
        root.turn |= done and any(v.pid in turns for v in root.victims)


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


def severity(impact: float) -> Severity:
    """By the share of busy time that is lost: half is critical, a fifth high."""
    if impact >= 0.5:
        return Severity.CRITICAL
    return Severity.HIGH if impact >= 0.2 else Severity.MEDIUM
