"""Servers that belong to clients which ask nothing of them."""

from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Severity, Step, Window, check
from scaledoctor.sources.pgbouncer import (
    PoolerClients,
    PoolerConfig,
    PoolerDatabases,
    PoolerPools,
    PoolerServers,
    PoolerStats,
    PoolerUsers,
)
from scaledoctor.sources.postgres import Activity, LockTable
from scaledoctor.sql import identifier
from scaledoctor_checks.pooling._causes import MOST, Tied, held, parked
from scaledoctor_checks.pooling._inside import inside
from scaledoctor_checks.pooling._load import SECONDS, SHARE, WAITING, Load, loads
from scaledoctor_checks.pooling._setup import Setup
from scaledoctor_checks.pooling._words import entry, ini, seconds
from scaledoctor_checks.postgres._blocking import Blocking, blocking

SOURCE = "SHOW POOLS, SHOW SERVERS joined with pg_stat_activity"
CLIENTS = "SHOW CLIENTS: a server, and no query running, at both edges of the window"


@check("pgbouncer.held-in-transaction", step=Step.TIGHTEN)
def held_in_transaction(
    window: Window[PoolerPools],
    stats: Window[PoolerStats] | None,
    config: PoolerConfig | None,
    databases: PoolerDatabases | None,
    users: PoolerUsers | None,
    clients: Window[PoolerClients] | None,
    servers: Window[PoolerServers] | None,
    activity: Window[Activity] | None,
    locks: Window[LockTable] | None,
    /,
    *,
    share: float = MOST,
    waiting: float = WAITING,
    share_waited: float = SHARE,
    wait: float = SECONDS,
) -> Iterator[Finding]:
    """Clients sit in open transactions and keep the pool's servers from others.

    Why: in transaction mode a server is given back at the end of a transaction; whoever calls
    another service, or sleeps, before the commit takes it out of the pool for all that time.
    How measured: ``share`` of the busy servers are idle in their transaction for a tenth of a
    second or more (pg_stat_activity by the backends' pids; else clients that have a server and no
    running query), while ``waiting`` clients wait on average, for ``share_waited`` of their
    transactions' time and ``wait`` seconds each. When such a transaction also blocks other
    sessions, postgres.idle-in-transaction names it.
    Fix: commit before everything that is not the database; let PgBouncer end forgotten ones.
    When to ignore: never while others wait.
    References: PgBouncer manual, idle_transaction_timeout, transaction_timeout (1.25+).
    """
    found = loads(window, stats, Setup(config, databases, users))
    total = sum(load.busy + load.waiting for load in found)
    seen = inside(servers, databases, activity)
    heads = _heads(blocking(activity, locks)) if activity else set()
    for load in found:
        mine = seen.get(load.key)
        tied = held(load, mine, clients)
        if not load.queues(waiting, share_waited, wait) or tied.share < share:
            continue
        if mine and heads & mine.pids:
            continue
        yield _finding(load, tied, total, config)


def _heads(found: Blocking) -> set[int]:
    """Sessions whose idle transaction keeps others waiting: another check's finding."""
    blamed = (r for r in found.roots.values() if r.seen and r.idle and not r.queued)
    return {r.pid for r in blamed if found.mean(r) >= MOST}


def _finding(load: Load, tied: Tied, total: float, config: PoolerConfig | None) -> Finding:
    who = tied.labels[0] if tied.labels else "somebody"
    source = SOURCE if tied.measured else CLIENTS
    return Finding(
        subject=load.key,
        summary=(
            f"{who} sits idle in open transactions on {tied.servers:.1f} of the {load.busy:.1f} "
            f"busy servers of {load.key}; {load.waiting:.1f} clients wait for one, "
            f"{seconds(load.wait)} each"
        ),
        severity=Severity.HIGH if load.share >= MOST else Severity.MEDIUM,
        confidence=Confidence.HIGH if tied.measured else Confidence.MEDIUM,
        evidence=(
            Evidence("busy servers idle in a transaction", tied.share, "share", MOST, source),
            Evidence("by application", ", ".join(tied.labels[:4]) or "unknown", source=source),
            Evidence("clients waiting, mean", load.waiting, "clients", WAITING, "SHOW POOLS"),
            Evidence("share of transaction time spent waiting", load.share, "share", SHARE,
                     "SHOW POOLS"),
        ),
        fixes=(_commit(who), _end(load, config)),
        explains={load.resource: min(1.0, tied.share)},
        impact=min(1.0, tied.share) * load.waiting / total if total else 0.0,
    )  # fmt: skip


def _commit(who: str) -> Fix:
    return Fix(
        f"Commit in {who} before it does anything outside the database",
        (
            "-- 1. remote calls, files, mails and waits come before BEGIN or after COMMIT",
            "-- 2. what must follow the commit goes to a queue, in the same transaction",
        ),
        language="text",
        risk="a change in the application; the work in between may need its own undo",
        verify="scaledoctor scan again: nobody waits for a server",
        undo="deploy the version before",
    )


def _end(load: Load, config: PoolerConfig | None) -> Fix:
    return ini(
        "Let PgBouncer end transactions that are forgotten",
        "pgbouncer",
        ("idle_transaction_timeout = 30",),
        config,
        risk="clients of every pool that pause longer inside a transaction lose their connection, "
        "and what they had not committed is rolled back",
        verify="SHOW CONFIG; idle_transaction_timeout is 30",
        undo=f"idle_transaction_timeout = "
        f"{config.number('idle_transaction_timeout') if config else 0:.0f}, then RELOAD;",
    )


@check("pgbouncer.session-pooling", step=Step.POOL)
def session_pooling(
    window: Window[PoolerPools],
    stats: Window[PoolerStats] | None,
    config: PoolerConfig | None,
    databases: PoolerDatabases | None,
    users: PoolerUsers | None,
    clients: Window[PoolerClients] | None,
    servers: Window[PoolerServers] | None,
    activity: Window[Activity] | None,
    /,
    *,
    share: float = MOST,
    waiting: float = WAITING,
    share_waited: float = SHARE,
    wait: float = SECONDS,
) -> Iterator[Finding]:
    """Session mode gives each client a server for good, and the others wait.

    Why: a client keeps its server until it disconnects, however little it asks; with more clients
    than servers the pool is full of idle ones, and PostgreSQL has nothing to do.
    How measured: in a pool in session mode ``share`` of the linked servers are between
    transactions (pg_stat_activity by the backends' pids, else clients that have a server and no
    running query), while ``waiting`` clients wait on average, for ``share_waited`` of the time and
    ``wait`` seconds each.
    Fix: transaction mode, after a look at what needs a session.
    When to ignore: clients that use LISTEN, session advisory locks, temporary tables or WITH HOLD
    cursors: give those a database entry of their own with pool_mode=session.
    References: PgBouncer, "Features": what breaks in transaction pooling.
    """
    found = loads(window, stats, Setup(config, databases, users))
    total = sum(load.busy + load.waiting for load in found)
    seen = inside(servers, databases, activity)
    for load in found:
        tied = parked(load, seen.get(load.key), clients)
        if load.queues(waiting, share_waited, wait) and tied.share >= share:
            yield _parked(load, tied, total, config)


def _parked(load: Load, tied: Tied, total: float, config: PoolerConfig | None) -> Finding:
    who = f" of {tied.labels[0]}" if tied.labels else ""
    return Finding(
        subject=load.key,
        summary=(
            f"{load.key} is in session mode: {tied.servers:.1f} of its {load.busy:.1f} servers "
            f"belong to idle clients{who}, while {load.waiting:.1f} clients wait for one"
        ),
        severity=Severity.HIGH if load.share >= MOST else Severity.MEDIUM,
        confidence=Confidence.HIGH if tied.measured else Confidence.MEDIUM,
        evidence=(
            Evidence("servers of idle clients", tied.share, "share", MOST,
                     SOURCE if tied.measured else CLIENTS),
            Evidence("clients waiting, mean", load.waiting, "clients", WAITING, "SHOW POOLS"),
            Evidence("longest wait seen", load.maxwait, "s", source="maxwait + maxwait_us"),
            Evidence("pool_mode", load.pool.mode, source="SHOW POOLS"),
        ),
        fixes=(_transaction_mode(load, config), _idle_clients(load)),
        explains={load.resource: min(1.0, tied.share)},
        impact=min(1.0, tied.share) * load.waiting / total if total else 0.0,
    )  # fmt: skip


def _transaction_mode(load: Load, config: PoolerConfig | None) -> Fix:
    own = load.database is not None and load.database.mode == "session"
    line = "pool_mode = transaction"
    if own and load.database:
        sized = (f"pool_size={load.size}",) if load.sized.of == "database" else ()
        line = entry(load.database, "pool_mode=transaction", *sized)
    plans = "max_prepared_statements = 200 (set it, it is 0 before 1.24)"
    if config and config.version < (1, 21, 0):
        plans = f"no prepared statements in {config.name}: psycopg prepare_threshold=None"
    return ini(
        f"Give servers of {load.key} back after each transaction",
        "databases" if own else "pgbouncer",
        (
            "; first look for LISTEN, session advisory locks, SET without LOCAL, temporary tables",
            f"; and WITH HOLD cursors; {plans}",
            line,
        ),
        config,
        risk="what a client keeps in its session (settings, temporary tables, advisory locks, "
        "LISTEN) is lost between transactions",
        verify="SHOW POOLS; pool_mode is transaction and cl_waiting 0; the application's own tests",
        undo="pool_mode = session, then RELOAD;",
    )


def _idle_clients(load: Load) -> Fix:
    user = identifier(load.pool.user)
    return Fix(
        "Until then: let PostgreSQL end sessions that idle (PostgreSQL 14 and later)",
        (f"ALTER ROLE {user} SET idle_session_timeout = '60s';",),
        risk="the clients of those servers lose their connection and must open another; counts "
        "for new sessions",
        verify="SHOW POOLS; on the console: maxwait stays below a minute",
        undo=f"ALTER ROLE {user} RESET idle_session_timeout;",
    )
