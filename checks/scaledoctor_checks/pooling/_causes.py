"""What ties a pool's servers up, each share measured, so that all checks agree."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scaledoctor.sdk import Window
from scaledoctor.sources.pgbouncer import ClientGroup, PoolerClients, PoolerLog
from scaledoctor.sources.postgres import Activity, Session, Settings, Statements
from scaledoctor_checks.pooling._inside import Inside
from scaledoctor_checks.pooling._load import Load
from scaledoctor_checks.postgres._heavy import ALONE, DOMINANT, Heavy, heavy

MOST = 0.5
"""From half of the busy servers on it is what ties the pool up, as for every chain of blame."""

PAUSE = 0.1
"""Seconds idle in a transaction from which the client does something else: the gap between two
statements of one transaction is a network round trip, a few milliseconds."""

KEPT_FREE = 0.1
"""Share of PostgreSQL's slots that no advice of ours takes: for people, jobs and deployments."""


@dataclass(frozen=True, slots=True)
class Tied:
    """``share`` of the busy servers, ``servers`` on average, and by which applications, most first.

    ``measured`` says that PostgreSQL told it; else it is from two readings of SHOW CLIENTS.
    """

    share: float
    servers: float
    labels: tuple[str, ...]
    measured: bool


def held(load: Load, seen: Inside | None, clients: Window[PoolerClients] | None) -> Tied:
    """Servers whose client left its transaction idle.

    Without PostgreSQL's word only in transaction mode: in session mode a client may keep a server
    between transactions too.
    """
    if seen is not None:
        return _inside(load, seen, _left_idle)
    return Tied(0, 0, (), False) if load.pool.mode == "session" else _linked(load, clients)


def parked(load: Load, seen: Inside | None, clients: Window[PoolerClients] | None) -> Tied:
    """Servers that belong to a client between its transactions: only session mode has them."""
    if load.pool.mode != "session":
        return Tied(0, 0, (), False)
    linked = _linked(load, clients)
    if seen is None:
        return linked
    idle = max(0.0, load.busy - seen.working)
    return Tied(idle / load.busy if load.busy else 0.0, idle, linked.labels, True)


def share(load: Load, seen: Inside, test: Callable[[Session], bool]) -> float:
    """Share of the pool's busy servers whose session passes a test."""
    busy = max(load.busy, seen.working)
    return seen.mean(test) / busy if busy else 0.0


def wasteful(
    activity: Window[Activity] | None, statements: Window[Statements] | None
) -> Callable[[Session], bool]:
    """Whether a session runs a statement that postgres.statement-share blames."""
    blamed: list[Heavy] = []
    for one in heavy(activity, statements, sleepers=True)[:3] if activity else ():
        several = activity is not None and one.seconds >= ALONE * max(activity.seconds, 1.0)
        if one.share >= DOMINANT and one.wasteful() and several:
            blamed.append(one)
    return lambda session: any(one.run_by(session) for one in blamed)


def slots(settings: Settings | None, activity: Window[Activity] | None) -> tuple[int, int] | None:
    """PostgreSQL's usable connection slots and how many of them are taken; None when unknown."""
    if settings is None or activity is None:
        return None
    usable = settings.max_connections - settings.reserved
    return usable, min(usable, int(activity.peak(lambda a: len(a.sessions) + a.own)))


def slots_gone(
    key: str,
    settings: Settings | None,
    activity: Window[Activity] | None,
    log: Window[PoolerLog] | None,
) -> bool:
    """Whether PostgreSQL has no slot left for a pool: as counted there, or as it told the pool."""
    taken = slots(settings, activity)
    refused = any(part.why(key, "slots") for part in log or ())
    return refused or (taken is not None and taken[1] >= taken[0])


def _left_idle(session: Session) -> bool:
    return session.idle_in_transaction and (session.state_age or 0.0) >= PAUSE


def _inside(load: Load, seen: Inside, test: Callable[[Session], bool]) -> Tied:
    times: dict[str, int] = {}
    for session in (s for sample in seen.samples for s in sample if test(s)):
        times[session.label] = times.get(session.label, 0) + 1
    labels = tuple(sorted(times, key=lambda label: (-times[label], label)))
    return Tied(share(load, seen, test), seen.mean(test), labels, True)


def _linked(load: Load, clients: Window[PoolerClients] | None) -> Tied:
    """Clients that have a server and ask nothing of it, at both edges of the window."""
    readings = [list(_of(load, sample)) for sample in clients or ()]
    holding = [sum(g.holding for g in groups) for groups in readings]
    linked = [sum(g.holding + g.running for g in groups) for groups in readings]
    if not readings or not all(linked):
        return Tied(0, 0, (), False)
    times: dict[str, int] = {}
    for group in (g for groups in readings for g in groups if g.holding):
        times[group.label] = times.get(group.label, 0) + group.holding
    return Tied(
        share=min(some / of for some, of in zip(holding, linked, strict=True)),
        servers=sum(holding) / len(holding),
        labels=tuple(sorted(times, key=lambda label: (-times[label], label))),
        measured=False,
    )


def _of(load: Load, sample: PoolerClients) -> Iterator[ClientGroup]:
    return (g for g in sample.groups if g.key == load.key)
