"""One database or user takes what all of them share."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Severity, Step, Window, check
from scaledoctor.sources.pgbouncer import (
    PoolerConfig,
    PoolerDatabases,
    PoolerLog,
    PoolerPools,
    PoolerStats,
    PoolerUsers,
)
from scaledoctor.sources.postgres import Activity, Settings
from scaledoctor.sql import literal
from scaledoctor_checks.pooling._causes import slots, slots_gone
from scaledoctor_checks.pooling._load import SHARE, WAITING, Load, loads
from scaledoctor_checks.pooling._setup import Setup
from scaledoctor_checks.pooling._words import entry, ini, nameable, plural

SOURCE = "SHOW POOLS, SHOW DATABASES, SHOW USERS, SHOW CONFIG"


@dataclass(frozen=True, slots=True)
class _Shared:
    """What runs out: ``most`` connections by ``setting``, and the other pools that draw on it."""

    most: int
    setting: str
    others: tuple[Load, ...]

    @property
    def held(self) -> float:
        """Servers of the others that are busy."""
        return sum(load.busy for load in self.others)


@check("pgbouncer.starved", step=Step.POOL)
def starved(
    window: Window[PoolerPools],
    stats: Window[PoolerStats] | None,
    config: PoolerConfig | None,
    databases: PoolerDatabases | None,
    users: PoolerUsers | None,
    activity: Window[Activity] | None,
    settings: Settings | None,
    log: Window[PoolerLog] | None,
    /,
    *,
    held: float = 0.5,
    waiting: float = WAITING,
    share_waited: float = SHARE,
) -> Iterator[Finding]:
    """One database or user holds the server connections that another pool waits for.

    Why: max_db_connections, max_user_connections and PostgreSQL's own slots are shared by several
    pools; whoever is busiest gets them, and the others wait below their own size.
    How measured: ``waiting`` clients of a pool wait on average, for ``share_waited`` of the time,
    while the pool has fewer servers than its size because a shared limit is used up: by the caps
    of SHOW DATABASES, SHOW USERS and SHOW CONFIG, or PostgreSQL's slots (pg_stat_activity, or its
    refusals in PgBouncer's log). Others must hold ``held`` of it, of a cap more than half; named is
    the pool that has most.
    Fix: a limit of its own for the one that takes most.
    When to ignore: a pool that is meant to come second.
    References: PgBouncer manual, max_db_connections, max_user_connections, [users].
    """
    setup = Setup(config, databases, users)
    found = loads(window, stats, setup)
    victims: dict[str, list[Load]] = {}
    blamed: dict[str, tuple[Load, _Shared]] = {}
    for load in found:
        short = load.servers <= load.size - 1 or load.squeezed
        if load.waiting < waiting or load.share < share_waited or load.paused or not short:
            continue
        gone = slots_gone(load.key, settings, activity, log)
        shared = _shared(load, found, slots(settings, activity), gone=gone)
        if shared is None or shared.held < held * shared.most:
            continue
        hog = max(shared.others, key=lambda other: (other.busy, other.key))
        victims.setdefault(hog.key, []).append(load)
        blamed[hog.key] = (hog, shared)
    total = sum(load.busy + load.waiting for load in found)
    for hog, shared in blamed.values():
        yield _finding(hog, shared, victims[hog.key], total, setup)


def _shared(
    load: Load, found: list[Load], taken: tuple[int, int] | None, *, gone: bool
) -> _Shared | None:
    """What keeps a pool below its size: a cap of the pooler that others hold, else the slots."""
    if load.cap and load.squeezed:
        cap = load.cap.cap
        drawing = [other for other in found if cap.over(other.pool)]
        if sum(other.servers for other in drawing) < cap.most - 0.5:
            return None
        return _Shared(cap.most, cap.setting, tuple(o for o in drawing if o.key != load.key))
    others = tuple(other for other in found if other.key != load.key)
    if not others or not gone or load.cap:
        return None
    most = taken[0] if taken else round(sum(other.servers for other in others))
    return _Shared(most, "PostgreSQL's slots (max_connections)", others)


def _finding(
    hog: Load, shared: _Shared, victims: list[Load], total: float, setup: Setup
) -> Finding:
    waiting = sum(load.waiting for load in victims)
    names = ", ".join(load.key for load in victims[:4])
    postgres = shared.setting.startswith("PostgreSQL")
    return Finding(
        subject=hog.key,
        summary=(
            f"{hog.key} holds {hog.servers:.0f} of the {shared.most} server connections of "
            f"{shared.setting.partition(' of ')[0]}; {waiting:.1f} clients of {names} wait for one"
        ),
        severity=Severity.HIGH,
        confidence=Confidence.HIGH if hog.servers >= shared.most / 2 else Confidence.MEDIUM,
        evidence=(
            Evidence("shared limit", shared.setting, source=SOURCE),
            Evidence(f"servers of {hog.key}, mean", hog.servers, f"of {shared.most}",
                     shared.most / 2, SOURCE),
            *(Evidence(f"servers of {load.key}, mean", load.servers, f"of {load.size}",
                       source=SOURCE) for load in victims[:4]),
            Evidence("clients that wait for them, mean", waiting, "clients", WAITING, SOURCE),
        ),
        fixes=(_fix(hog, shared, setup), _at_once(hog, shared)),
        explains={
            **{load.resource: min(1.0, shared.held / shared.most) for load in victims},
            **({"postgres.connections": min(1.0, hog.servers / shared.most)} if postgres else {}),
        },
        impact=waiting / total if total else 0.0,
    )  # fmt: skip


def _fix(hog: Load, shared: _Shared, setup: Setup) -> Fix:
    """Half of what is shared: more than enough to be served, and the others get the rest."""
    part = max(1, floor(shared.most / 2))
    risk = (
        f"clients of {hog.key} wait longer when they want more than {part} servers; the surplus "
        "goes as its servers idle, or after server_lifetime (an hour)"
    )
    verify = "SHOW POOLS; on the console: cl_waiting of the other pools falls to 0"
    title = f"Leave half to the others: at most {part} servers for {hog.key}"
    by_user = "max_db_connections" in shared.setting or not hog.database
    if by_user and nameable(hog.pool.user):
        line = f"{hog.pool.user} = max_user_connections={part}"
        undo = "take the line out, then RELOAD;"
        return ini(title, "users", (line,), setup.config, risk=risk, verify=verify, undo=undo)
    line = entry(hog.database, f"max_db_connections={part}") if hog.database else ""
    undo = f"{line.replace(f'max_db_connections={part}', '').rstrip()}, then RELOAD;"
    return ini(title, "databases", (line,), setup.config, risk=risk, verify=verify, undo=undo)


def _at_once(hog: Load, shared: _Shared) -> Fix:
    """A busy pool gives nothing back by itself."""
    surplus = max(1, round(hog.servers) - max(1, floor(shared.most / 2)))
    database = hog.database.real if hog.database else hog.pool.database
    mine = f"usename = {literal(hog.pool.user)} AND datname = {literal(database)}"
    return Fix(
        "Then, if it stays busy: end its surplus in PostgreSQL, the youngest transactions first",
        (
            "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity "
            f"WHERE {mine} AND pid <> pg_backend_pid() "
            f"ORDER BY state = 'idle' DESC, xact_start DESC LIMIT {surplus}) AS surplus;",
        ),
        risk=f"{plural(surplus, 'client')} of {hog.key} lose their transaction; without the limit "
        "above the pool opens the connections again",
        verify="SHOW POOLS; on the console: sv_active of the other pools grows",
        undo="none needed: the limit above decides who gets them",
    )
