"""Deadlocks in the window."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Severity, Step, Window, check
from scaledoctor.sources.postgres import Activity, Databases, LockTable, Settings
from scaledoctor_checks.postgres._blocking import blocking
from scaledoctor_checks.postgres._causes import CYCLE
from scaledoctor_checks.postgres._words import statement

SOURCE = "pg_stat_database.deadlocks"

FIXES = (
    Fix(
        "Lock the rows in one order in every transaction",
        (
            "-- at the start of each transaction, before the first UPDATE:",
            "SELECT id FROM the_table WHERE id = ANY($1) ORDER BY id FOR UPDATE;",
        ),
        language="text",
        risk="a change in the application",
        verify="SELECT deadlocks FROM pg_stat_database: it stops growing",
        undo="deploy the version before",
    ),
    Fix(
        "See both statements of each deadlock in the server's log",
        ("ALTER SYSTEM SET log_lock_waits = on;", "SELECT pg_reload_conf();"),
        risk="none; one log line per wait longer than deadlock_timeout",
        verify="SHOW log_lock_waits;",
        undo="ALTER SYSTEM RESET log_lock_waits; SELECT pg_reload_conf();",
    ),
)


@check("postgres.deadlocks", step=Step.TIGHTEN)
def deadlocks(
    counters: Window[Databases],
    window: Window[Activity],
    locks: Window[LockTable] | None,
    settings: Settings,
    /,
    *,
    at_least: int = 1,
    storm_per_minute: float = 5.0,
) -> Iterator[Finding]:
    """Transactions that lock the same rows in different order and kill each other.

    Why: each deadlock holds at least two sessions for deadlock_timeout, then one of them fails
    and does its work again.
    How measured: growth of pg_stat_database.deadlocks over the window, from ``at_least`` on; high
    from ``storm_per_minute``. The cost is the sampled time of the sessions in the ring or behind
    it, at least two x deadlock_timeout per deadlock.
    Fix: take rows in one order everywhere (by primary key), in shorter transactions.
    When to ignore: one now and then under a client that retries.
    References: PostgreSQL manual, "Deadlocks".
    """
    count = counters.delta(lambda c: c.deadlocks)
    if count is None or count < at_least:
        return
    per_minute = count / max(counters.seconds, 1.0) * 60
    timeout = settings.number("deadlock_timeout", 1000.0) / 1000
    found = blocking(window, locks)
    cycle = found.roots.get(CYCLE)
    busy = found.busy / found.samples * max(window.seconds, 1.0)
    ring = found.mean(cycle) * window.seconds if cycle else 0.0
    lost = max(2 * count * timeout, ring)
    waiting = [s.query for a in window for s in a.sessions if s.blocked and s.query]
    text = max(set(waiting), key=waiting.count) if waiting else ""
    labels = sorted({s.label for a in window for s in a.sessions if s.blocked})
    by_name = sorted(d.database for d in counters.last.databases if d.deadlocks)
    yield Finding(
        subject=statement(text) if text else f"database {', '.join(by_name)}",
        summary=(
            f"{count:.0f} deadlocks in {counters.seconds:.0f} s"
            + (f" around {statement(text)}" if text else "")
            + (f" of {', '.join(labels[:3])}" if labels else "")
        ),
        severity=Severity.HIGH if per_minute >= storm_per_minute else Severity.MEDIUM,
        evidence=(
            Evidence("deadlocks", count, "in the window", at_least, SOURCE),
            Evidence("deadlocks", per_minute, "per minute", storm_per_minute, SOURCE),
            Evidence("deadlock_timeout", timeout, "s", source="pg_settings"),
        ),
        fixes=FIXES,
        explains={"postgres.locks": min(1.0, lost / max(busy, 0.001))},
        impact=min(1.0, lost / max(busy, lost)),
    )
