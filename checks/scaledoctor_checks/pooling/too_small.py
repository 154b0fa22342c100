"""A pool that is smaller than the work that PostgreSQL could do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil, floor

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Severity, Step, Window, check
from scaledoctor.sources.host import CpuTimes, HostInfo, Processes, cores_by_label
from scaledoctor.sources.pgbouncer import (
    PoolerClients,
    PoolerConfig,
    PoolerDatabases,
    PoolerPools,
    PoolerServers,
    PoolerStats,
    PoolerUsers,
)
from scaledoctor.sources.postgres import Activity, Server, Session, Settings, Statements
from scaledoctor_checks.pooling._causes import (
    KEPT_FREE,
    MOST,
    held,
    parked,
    share,
    slots,
    wasteful,
)
from scaledoctor_checks.pooling._inside import FULL, Inside, computing, inside, saturated
from scaledoctor_checks.pooling._load import SECONDS, SHARE, WAITING, Load, crowds, loads
from scaledoctor_checks.pooling._mostly import apart, mostly
from scaledoctor_checks.pooling._setup import Setup
from scaledoctor_checks.pooling._words import entry, ini, seconds

SOURCE = "SHOW POOLS, SHOW STATS over the window"

LEAST = 0.01
"""Cores per busy server below which the cores are no limit of any pool."""


@dataclass(frozen=True, slots=True)
class _Cap:
    """The most servers that something lets the pool have, and the arithmetic behind it."""

    servers: int
    words: str


@check("pgbouncer.pool-too-small", step=Step.POOL)
def pool_too_small(
    window: Window[PoolerPools],
    stats: Window[PoolerStats] | None,
    config: PoolerConfig | None,
    databases: PoolerDatabases | None,
    users: PoolerUsers | None,
    clients: Window[PoolerClients] | None,
    servers: Window[PoolerServers] | None,
    activity: Window[Activity] | None,
    settings: Settings | None,
    statements: Window[Statements] | None,
    server: Server | None,
    info: HostInfo | None,
    cpu: Window[CpuTimes] | None,
    processes: Window[Processes] | None,
    /,
    *,
    waiting: float = WAITING,
    share_waited: float = SHARE,
    wait: float = SECONDS,
) -> Iterator[Finding]:
    """Clients wait for a server connection while PostgreSQL has room for more.

    Why: the wait in front of PgBouncer is pure loss: the database could do the work now.
    How measured: ``waiting`` clients on average, for ``share_waited`` of their transactions' time
    and ``wait`` seconds each, in front of a full pool whose servers really work: not behind a
    lock, not idle in a transaction, not on one wasteful statement, and not on full cores, as
    pg_stat_activity shows of their backends. The size is Little's law: transactions per second
    times the seconds that each needs and waits; no more than the free slots and cores allow. The
    time in a server is busy servers over the transaction rate, for PgBouncer's own
    avg_query_time includes the wait. The cores never cap below twice their number and one, the
    rule of thumb for disks that are fast.
    Fix: the size by that arithmetic.
    When to ignore: a pool that is meant to keep a batch job from taking more.
    References: PgBouncer manual, default_pool_size; J. Little, "A Proof for the Queuing Formula:
    L = (lambda) W" (1961); "About Pool Sizing", HikariCP.
    """
    setup = Setup(config, databases, users)
    found = loads(window, stats, setup)
    total = sum(load.busy + load.waiting for load in found)
    seen, bad = inside(servers, databases, activity), wasteful(activity, statements)
    full = saturated(server, info, cpu) is not None
    for load in found:
        mine = seen.get(load.key)
        if not load.queues(waiting, share_waited, wait) or not load.full:
            continue
        if load.squeezed or crowds(load, found):
            continue
        if max(held(load, mine, clients).share, parked(load, mine, clients).share) >= MOST:
            continue
        if mine and share(load, mine, lambda s: _stuck(s, bad, full=full)) >= MOST:
            continue
        caps = [
            *_slots(load, slots(settings, activity) if mine else None),
            *_cores(mine, activity, server, info, processes),
        ]
        size = min([ceil(load.busy + load.waiting), *(cap.servers for cap in caps)])
        if size > load.limit:
            yield _finding(load, size, caps, mine, total, setup, clients)


def _stuck(session: Session, bad: Callable[[Session], bool], *, full: bool) -> bool:
    """Waits for a lock, runs a statement that is another finding, or wants a core of full ones."""
    return session.blocked or bad(session) or (full and computing(session))


def _slots(load: Load, taken: tuple[int, int] | None) -> Iterator[_Cap]:
    if taken is None:
        return
    usable, used = taken
    kept = max(3, ceil(KEPT_FREE * usable))
    free = max(0, usable - used - kept)
    yield _Cap(
        floor(load.servers) + free,
        f"{usable} slots of PostgreSQL - {used} taken - {kept} kept free = {free} more",
    )


def _cores(
    seen: Inside | None,
    activity: Window[Activity] | None,
    server: Server | None,
    info: HostInfo | None,
    processes: Window[Processes] | None,
) -> Iterator[_Cap]:
    """How many busy servers fill all cores, by what each takes now; only on the database's host.

    Whatever else uses the cores is left out: the database gets its part of them when it asks.
    """
    if not (seen and activity and info and processes and server and server.local):
        return
    working = activity.mean(lambda a: sum(s.state != "idle" for s in a.sessions))
    each = cores_by_label(processes).get("postgres", 0.0) / working if working else 0.0
    if each >= LEAST:
        yield _Cap(
            max(2 * info.cores + 1, floor(FULL * info.cores / each)),
            f"each busy server takes {each:.2f} of a core, there are {info.cores}",
        )


def _finding(
    load: Load,
    size: int,
    caps: list[_Cap],
    seen: Inside | None,
    total: float,
    setup: Setup,
    clients: Window[PoolerClients] | None,
) -> Finding:
    heavy = mostly(seen)
    known = seen is not None and (len(caps) > 1 or share(load, seen, computing) < MOST)
    room = "PostgreSQL has room" if known else "whether its cores are free is not known"
    each = f" of {seconds(load.service)}" if load.service else ""
    return Finding(
        subject=load.key,
        summary=(
            f"{load.waiting:.1f} clients of {load.key} wait for one of its {load.limit:.0f} server "
            f"connections, {seconds(load.wait)} in front of each transaction{each}; "
            f"{room if seen else 'PostgreSQL was not looked at'}: it needs {size}"
        ),
        severity=_severity(load, setup),
        confidence=Confidence.HIGH if known else Confidence.LOW,
        evidence=(
            Evidence("clients waiting, mean", load.waiting, "clients", WAITING, SOURCE),
            Evidence("longest wait seen", load.maxwait, "s", source="maxwait + maxwait_us"),
            Evidence("busy servers, mean", load.busy, f"of {load.limit:.0f}", source=SOURCE),
            Evidence("share of transaction time spent waiting", load.share, "share", SHARE, SOURCE),
            Evidence("size by Little's law", _arithmetic(load), source=SOURCE),
            *(Evidence("no more than", f"{c.words}: {c.servers}", source=SOURCE) for c in caps),
            Evidence("limited by", load.setting, source="SHOW DATABASES, SHOW USERS, SHOW CONFIG"),
            *((heavy.evidence(),) if heavy else ()),
        ),
        fixes=(
            _fix(load, size, setup),
            *apart(load, heavy, clients, setup),
            *(() if known else (_look(),)),
        ),
        explains={load.resource: 1.0},
        impact=load.waiting / total if total else 0.0,
    )


def _arithmetic(load: Load) -> str:
    """The numbers by which the size can be checked."""
    need = ceil(load.busy + load.waiting)
    if not load.rate or not load.service:
        return f"{load.busy:.1f} busy + {load.waiting:.1f} waiting = {need}"
    return (
        f"{load.rate:.1f} transactions/s x ({load.service:.3f} s in a server + {load.wait:.3f} s "
        f"waiting) = {load.busy + load.waiting:.1f}, so {need}"
    )


def _severity(load: Load, setup: Setup) -> Severity:
    """By the longest wait against query_wait_timeout, at which PgBouncer ends the client."""
    timeout = setup.number("query_wait_timeout", 120) or 120
    if load.maxwait >= timeout / 2:
        return Severity.CRITICAL
    long = load.maxwait >= max(5.0, timeout / 4) or load.waiting >= load.limit
    return Severity.HIGH if long else Severity.MEDIUM


def _fix(load: Load, size: int, setup: Setup) -> Fix:
    """The setting that rules the pool now, with the new size."""
    section, line, old = _cap(load, size, setup) if load.cap else _size(load, size)
    return ini(
        f"Let {load.key} have {size} server connections",
        section,
        (line,),
        setup.config,
        risk="more sessions work in PostgreSQL at once; every pool that this counts for may grow",
        verify="SHOW POOLS; on the console: cl_waiting stays at 0 at the busiest hour",
        undo=f"{old}, then RELOAD;",
    )


def _size(load: Load, size: int) -> tuple[str, str, str]:
    """Section, new line and old value of the pool's own size."""
    if load.sized.of == "user":
        return "users", f"{load.pool.user} = pool_size={size}", f"pool_size={load.size}"
    if load.sized.of == "database" and load.database:
        return "databases", entry(load.database, f"pool_size={size}"), f"pool_size={load.size}"
    return "pgbouncer", f"default_pool_size = {size}", f"default_pool_size = {load.size}"


def _cap(load: Load, size: int, setup: Setup) -> tuple[str, str, str]:
    """The same of the cap that limits it: by as much more as the pool needs."""
    assert load.cap is not None
    cap, more = load.cap.cap, load.cap.cap.most + size - floor(load.limit)
    name = f"max_{'db' if cap.field == 'database' else 'user'}_connections"
    if setup.number(name) == cap.most:
        return "pgbouncer", f"{name} = {more}", f"{name} = {cap.most}"
    if cap.field == "user":
        return "users", f"{load.pool.user} = {name}={more}", f"{name}={cap.most}"
    line = entry(load.database, f"{name}={more}") if load.database else ""
    return "databases", line, f"{name}={cap.most}"


def _look() -> Fix:
    return Fix(
        "First let the scan see PostgreSQL and its machine, which may be what is full",
        ("scaledoctor scan --pgbouncer ... --dsn postgresql://user@localhost:5432/database",),
        language="shell",
        risk="one more read-only connection",
        verify="the report tells a small pool from a lock, a slow statement or full cores",
        undo="none needed",
    )
