"""Errors of which a SQL log tells: refused clients, time-outs, deadlocks."""

import re
from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Kind, Severity, Step, Window, check
from scaledoctor.sources.postgres import Activity, Databases, Settings
from scaledoctor.sources.sql_log import SqlLog
from scaledoctor_checks.app._own_log import superseded
from scaledoctor_checks.app._sql_log import SOURCE, blamed, errors, kind, per_minute
from scaledoctor_checks.postgres._words import duration, statement

FULL = 0.75
"""Share of the usable slots from which the live checks tell who holds them."""

SLOTS = Fix(
    "See who holds the slots, and let them share a pool",
    (
        "SELECT usename, application_name, state, count(*) FROM pg_stat_activity "
        "GROUP BY 1, 2, 3 ORDER BY 4 DESC;",
        "-- then: scaledoctor scan --dsn ... at the busiest hour: it sizes the pool",
    ),
    risk="none: it reads",
    verify="no 'too many clients' or 'too many connections' in the log of the next busy hour",
    undo="none needed",
)

TIMEOUT = Fix(
    "Find out what it waits for or reads in vain",
    (
        "-- the plan, without running it: scaledoctor explain --dsn ... 'SELECT ...'",
        "ALTER SYSTEM SET log_lock_waits = on;",
        "SELECT pg_reload_conf();",
    ),
    risk="one log line per wait for a lock of more than deadlock_timeout",
    verify="no 'canceling statement due to statement timeout' in the log of the next busy hour",
    undo="ALTER SYSTEM RESET log_lock_waits; SELECT pg_reload_conf();",
)

ORDER = Fix(
    "Lock the rows in one order in every transaction",
    (
        "-- at the start of each transaction, before the first UPDATE:",
        "SELECT id FROM the_table WHERE id = ANY($1) ORDER BY id FOR UPDATE;",
    ),
    language="text",
    risk="a change in the application",
    verify="no 'deadlock detected' in the log of the next busy hour",
    undo="deploy the version before",
)


@check("log.too-many-clients", step=Step.POOL, about=("postgres.connections",))
def too_many_clients(
    log: SqlLog,
    activity: Window[Activity] | None = None,
    settings: Settings | None = None,
    logs: list[SqlLog] | None = None,
    /,
    *,
    fewest: int = 5,
    rate: float = 1.0,
    storm: float = 60.0,
) -> Iterator[Finding]:
    """The log has clients that were refused because the connection slots were gone.

    Why: each of them got an error instead of an answer, however little the server had to do.
    How measured: errors of SQLSTATE 53300 in the log, from ``fewest`` on and ``rate`` a minute;
    critical from ``storm`` a minute. Our own choice: below it is the moment of a deployment.
    Where the database is in the same scan and refuses us too, or three quarters of its slots are
    taken, it is a symptom of whoever holds them; while they are free, it is a risk.
    Fix: find who holds the slots, and pool.
    When to ignore: a load test that means to fill the server.
    References: PostgreSQL manual, "Connections and Authentication", max_connections.
    """
    if superseded(log, logs):
        return
    found = errors(log, "53300")
    count = sum(told.count for told in found)
    often = per_minute(log, count)
    if count < fewest or often < rate:
        return
    taken = _taken(activity, settings)
    limits = {m[1] + " " + m[2] for told in found if (m := _LIMIT.search(told.message))}
    (limit,) = limits if len(limits) == 1 else ("",)
    now = "" if taken is None else f"; now {taken:.0%} of the slots are taken"
    owner = next(iter(log.owners), "")
    yield Finding(
        subject=limit or "connection slots",
        summary=f"{count:,} clients were refused in {duration(log.seconds)}"
        + (f", at the limit of {limit}" if limit else "")
        + now,
        severity=Severity.CRITICAL if often >= storm else Severity.HIGH,
        confidence=Confidence.HIGH,
        evidence=(
            Evidence("clients refused, SQLSTATE 53300", float(count), "", fewest, SOURCE),
            Evidence("refused", often, "per minute", rate, SOURCE),
            Evidence("the server's words", found[0].message, source=SOURCE),
            *([Evidence("logs in most often", owner, source=SOURCE)] if owner else []),
        ),
        fixes=(SLOTS,),
        waits_for={"postgres.connections": 1.0} if taken is None or taken >= FULL else {},
        kind=kind(log, found) if taken is None or taken >= FULL else Kind.RISK,
    )


_LIMIT = re.compile(r'too many connections for (role|database) "(.+)"')


def _taken(activity: Window[Activity] | None, settings: Settings | None) -> float | None:
    """The highest share of the usable slots in the window; None without a database."""
    if activity is None or settings is None:
        return None
    usable = max(1, settings.max_connections - settings.reserved)
    return min(1.0, activity.peak(lambda a: len(a.sessions) + a.hidden + a.own) / usable)


@check("log.statement-timeouts", step=Step.TIGHTEN)
def statement_timeouts(
    log: SqlLog,
    activity: Window[Activity] | None = None,
    logs: list[SqlLog] | None = None,
    /,
    *,
    fewest: int = 5,
    rate: float = 1.0,
    part: float = 0.01,
    storm: float = 0.1,
    share: float = 0.5,
) -> Iterator[Finding]:
    """The log has statements that were ended by statement_timeout.

    Why: each took its connection and the server's time up to the limit, and then failed.
    How measured: "canceling statement due to statement timeout" in the log, from ``fewest`` on,
    and ``rate`` a minute or ``part`` of all executions; high from ``storm`` of them. Our own
    choice: one now and then is what the time-out is for. The statement is named that has
    ``share`` of them for sure. Where the database is in the same scan and most of its busy
    sessions wait for locks, they are that wait's symptom.
    Fix: find what it waits for, or what its plan lacks.
    When to ignore: searches that users give up, and reports that are known to be cut.
    References: PostgreSQL manual, statement_timeout, log_lock_waits.
    """
    if superseded(log, logs):
        return
    found = errors(log, "57014", "statement timeout")
    count = sum(told.count for told in found)
    often, of_all = per_minute(log, count), count / max(log.calls + count, 1)
    if count < fewest or (often < rate and of_all < part):
        return
    whose, surely = next(blamed(log, count, share), ("", 0))
    stuck = _stuck(activity)
    yield Finding(
        subject=statement(whose, 140) if whose else "statement_timeout",
        summary=f"{count:,} statements ended by statement_timeout in {duration(log.seconds)}"
        + (f", at least {surely:,} of them {statement(whose, 70)}" if whose else ""),
        severity=Severity.HIGH if of_all >= storm else Severity.MEDIUM,
        confidence=Confidence.HIGH if whose else Confidence.MEDIUM,
        evidence=(
            Evidence("ended by statement_timeout", float(count), "", fewest, SOURCE),
            Evidence("ended", often, "per minute", rate, SOURCE),
            Evidence("share of all executions", of_all, "share", part, SOURCE),
        ),
        fixes=(TIMEOUT,),
        waits_for={"postgres.locks": stuck} if stuck else {},
        kind=kind(log, found),
    )


def _stuck(activity: Window[Activity] | None) -> float:
    """Share of the busy sessions that wait for a lock, over all samples."""
    seen = [s for a in activity or () for s in a.sessions if s.active or s.blocked]
    return sum(s.blocked for s in seen) / len(seen) if seen else 0.0


@check("log.deadlocks", step=Step.TIGHTEN)
def log_deadlocks(
    log: SqlLog,
    counters: Window[Databases] | None = None,
    logs: list[SqlLog] | None = None,
    /,
    *,
    fewest: int = 3,
    rate: float = 0.2,
    storm: float = 5.0,
    share: float = 0.5,
) -> Iterator[Finding]:
    """The log has transactions that killed each other by locking in different order.

    Why: each deadlock holds two sessions for deadlock_timeout, then one of them fails and does
    its work again.
    How measured: "deadlock detected" in the log, from ``fewest`` on and ``rate`` a minute; high
    from ``storm`` a minute, as postgres.deadlocks has it. The statement is named that has
    ``share`` of them for sure. Quiet where the database is in the same scan and its counter grew:
    postgres.deadlocks tells it with what it costs.
    Fix: take rows in one order everywhere (by primary key), in shorter transactions.
    When to ignore: one now and then under a client that retries.
    References: PostgreSQL manual, "Deadlocks".
    """
    if superseded(log, logs):
        return
    found = errors(log, "40P01")
    count = sum(told.count for told in found)
    often = per_minute(log, count)
    if count < fewest or often < rate:
        return
    if counters is not None and (counters.delta(lambda c: c.deadlocks) or 0) > 0:
        return
    whose, surely = next(blamed(log, count, share), ("", 0))
    yield Finding(
        subject=statement(whose, 140) if whose else "deadlocks",
        summary=f"{count:,} deadlocks in {duration(log.seconds)}"
        + (f", at least {surely:,} of them ended {statement(whose, 70)}" if whose else ""),
        severity=Severity.HIGH if often >= storm else Severity.MEDIUM,
        confidence=Confidence.HIGH,
        evidence=(
            Evidence("deadlocks", float(count), "", fewest, SOURCE),
            Evidence("deadlocks", often, "per minute", rate, SOURCE),
        ),
        fixes=(ORDER,),
        kind=kind(log, found),
    )
