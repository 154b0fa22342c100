"""Sessions that are opened for a handful of transactions."""

from collections import Counter
from collections.abc import Iterator

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Reach,
    Severity,
    Step,
    Window,
    check,
)
from scaledoctor.sources.pgbouncer import PoolerConfig
from scaledoctor.sources.postgres import Activity, Databases, Newcomers, Server, Settings
from scaledoctor.sources.postgres.newcomers import RATE
from scaledoctor_checks.pooling._new_ini import pooler_fixes

SOURCE = "pg_stat_database.sessions, pg_stat_activity.backend_start"

POOL = Fix(
    "Keep connections in the application: a pool instead of connect per request",
    (
        "# psycopg: psycopg_pool.ConnectionPool(min_size=4, max_size=10)",
        "# Django: DATABASES['default']['CONN_MAX_AGE'] = 60",
        "# SQLAlchemy: create_engine(url, pool_size=10)  -- not NullPool",
    ),
    language="text",
    risk="idle connections take slots: size the pool to the busiest moment",
    verify="SELECT sessions FROM pg_stat_database: growth per second falls to 0",
    undo="the old setting",
)


@check("postgres.connection-churn", step=Step.POOL)
def connection_churn(
    reach: Reach,
    counters: Window[Databases],
    window: Window[Activity],
    newcomers: Newcomers,
    server: Server | None = None,
    settings: Settings | None = None,
    pooler: PoolerConfig | None = None,
    /,
    *,
    warn: float = RATE,
    critical: float = 50.0,
    transactions: float = 10.0,
) -> Iterator[Finding]:
    """New connections are opened for almost every transaction.

    Why: each one costs a process, a fork, the authentication and cold caches: milliseconds for
    work that often takes less than one.
    How measured: new sessions per second from pg_stat_database (14+) over the window, else the
    backends that were not there before; fires from ``warn`` per second with fewer than
    ``transactions`` transactions per session, and is high from ``critical`` per second. The
    application is the one of most sessions that are caught just born, in quick looks. The cost of
    one is our own login, measured.
    Fix: a connection pool in the application, or PgBouncer in transaction mode, with its whole
    configuration where there is none.
    When to ignore: a scheduled job that starts many short processes at once.
    References: PostgreSQL manual, "How Connections Are Established".
    """
    opened, done = newcomers.rate, counters.rate(lambda c: c.transactions)
    if done is None or opened < warn or done / opened >= transactions:
        return
    label = _opener(newcomers)
    busy = window.mean(lambda a: sum(s.active or s.blocked for s in a.sessions))
    logins = opened * reach.seconds
    free = pooler is None and server is not None and not server.pooled
    yield Finding(
        subject=label or "all applications",
        summary=(
            f"{label or 'clients'} open {opened:.0f} connections per second, one for every "
            f"{done / opened:.1f} transactions; a login takes {reach.seconds * 1000:.0f} ms"
        ),
        severity=Severity.HIGH if opened >= critical else Severity.MEDIUM,
        confidence=Confidence.HIGH if label else Confidence.MEDIUM,
        evidence=(
            Evidence("new sessions", opened, "per second", warn, SOURCE),
            Evidence("transactions per session", done / opened, "", transactions, SOURCE),
            Evidence(
                "caught just born",
                float(len(newcomers.sessions)),
                "sessions",
                source="pg_stat_activity.backend_start, quick looks in 1.5 s",
            ),
            Evidence("our own login", reach.seconds * 1000, "ms", source="our own connection"),
        ),
        fixes=(
            POOL,
            *(pooler_fixes(server, settings, window) if server and settings and free else ()),
        ),
        impact=min(1.0, logins / (logins + max(busy, 0.1))),
    )


def _opener(newcomers: Newcomers) -> str:
    """The application that opens at least half of the new sessions, empty if none does.

    Sessions that stay are a pool that grows; they count only where there are no others.
    """
    gone = [s for s in newcomers.sessions if s.gone]
    counts = Counter(s.label for s in gone or newcomers.sessions)
    label, times = max(counts.items(), key=lambda kv: (kv[1], kv[0]), default=("", 0))
    return label if times * 2 >= counts.total() else ""
