"""Work of which a SQL log tells: waits for locks, temporary files, slow statements."""

from collections.abc import Iterator
from math import ceil

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Kind, Severity, Step, Window, check
from scaledoctor.sources.postgres import Activity, Statements
from scaledoctor.sources.sql_log import Ran, SqlLog
from scaledoctor_checks.app._own_log import superseded
from scaledoctor_checks.app._sql_log import SOURCE
from scaledoctor_checks.postgres._heavy import DOMINANT
from scaledoctor_checks.postgres._words import duration, statement

MB = 1 << 20

HOLDER = Fix(
    "See who holds the lock while others wait",
    (
        "SELECT pid, pg_blocking_pids(pid), state, left(query, 80) FROM pg_stat_activity "
        "WHERE cardinality(pg_blocking_pids(pid)) > 0;",
        "-- or, with the chain and its root: scaledoctor scan --dsn ... at the busiest hour",
    ),
    risk="none: it reads",
    verify="fewer 'still waiting for' in the log of the next busy hour",
    undo="none needed",
)


@check("log.lock-waits", step=Step.TIGHTEN, about=("postgres.locks",))
def log_lock_waits(
    log: SqlLog,
    activity: Window[Activity] | None = None,
    logs: list[SqlLog] | None = None,
    /,
    *,
    fewest: int = 5,
    sessions: float = 0.2,
    many: float = 2.0,
) -> Iterator[Finding]:
    """The log has statements that waited long for the locks of others.

    Why: the wait is the user's, and the connection is held for nothing all the while.
    How measured: lines of log_lock_waits, waits of more than deadlock_timeout each: from
    ``fewest`` on, when they kept ``sessions`` sessions waiting on average over the log's span;
    high from ``many``. Our own choice: one in five minutes of a session is what users notice.
    The statement that waited longest in all is named. Quiet where the database is in the same
    scan and a session of it waits for a lock: the live checks name who holds it.
    Fix: find the transaction that holds the lock, and make it shorter.
    When to ignore: migrations that are meant to wait.
    References: PostgreSQL manual, log_lock_waits, deadlock_timeout, "Explicit Locking".
    """
    if superseded(log, logs):
        return
    mean = log.lock_seconds / max(log.seconds, 60.0)
    if log.lock_waits < fewest or mean < sessions:
        return
    if any(s.blocked for a in activity or () for s in a.sessions):
        return
    one = max(log.statements, key=lambda ran: ran.lock_seconds, default=None)
    whose = one.statement if one and one.lock_seconds else ""
    yield Finding(
        subject=statement(whose, 140) if whose else "locks",
        summary=f"{log.lock_waits:,} waits for locks took {duration(log.lock_seconds)} in "
        f"{duration(log.seconds)}" + (f", most of it {statement(whose, 70)}" if whose else ""),
        severity=Severity.HIGH if mean >= many else Severity.MEDIUM,
        confidence=Confidence.HIGH if whose else Confidence.MEDIUM,
        evidence=(
            Evidence("waits of more than deadlock_timeout", float(log.lock_waits), "", fewest,
                     SOURCE),
            Evidence("sessions that wait, mean", mean, "sessions", sessions, SOURCE),
            Evidence("longest wait", log.longest_lock, "s", source=SOURCE),
        ),
        fixes=(HOLDER,),
        kind=Kind.LIVE if log.live or activity is None else Kind.RISK,
    )  # fmt: skip


@check("log.temporary-files", step=Step.TIGHTEN)
def temporary_files(
    log: SqlLog,
    logs: list[SqlLog] | None = None,
    /,
    *,
    fewest: int = 10,
    rate: float = 1.0,
    heavy: float = 20.0,
) -> Iterator[Finding]:
    """The log has sorts and joins that spill to disk again and again.

    Why: what does not fit into work_mem is written and read again; it takes the disk that all
    others share.
    How measured: lines of log_temp_files, from ``fewest`` files on and ``rate`` megabytes a
    second over the log's span; high from ``heavy``. Our own choice: 1 MB/s is nothing to a disk
    but 3.6 GB an hour, 20 MB/s a fifth of what a small cloud disk gives (gp3: 125 MB/s). The
    statement is named that wrote most.
    Fix: more work_mem for that statement alone, or an index that gives its order.
    When to ignore: reports and index builds at night.
    References: PostgreSQL manual, work_mem, log_temp_files.
    """
    if superseded(log, logs):
        return
    often = log.temp_bytes / MB / max(log.seconds, 60.0)
    if log.temp_files < fewest or often < rate:
        return
    one = max(log.statements, key=lambda ran: ran.temp_bytes, default=None)
    named = one if one and one.temp_bytes else None
    whose = named.statement if named else ""
    share = named.temp_bytes / log.temp_bytes if named else 0.0
    yield Finding(
        subject=statement(whose, 140) if whose else "temporary files",
        summary=f"{log.temp_files:,} temporary files of {log.temp_bytes / MB:,.0f} MB in "
        f"{duration(log.seconds)}" + (f", {share:.0%} by {statement(whose, 70)}" if whose else ""),
        severity=Severity.HIGH if often >= heavy else Severity.MEDIUM,
        confidence=Confidence.HIGH if whose else Confidence.MEDIUM,
        evidence=(
            Evidence("temporary files", float(log.temp_files), "", fewest, SOURCE),
            Evidence("written to them", often, "MB/s", rate, SOURCE),
            Evidence("largest", log.largest_temp / MB, "MB", source=SOURCE),
        ),
        fixes=tuple(_memory(named)) if named else (),
    )


def _memory(one: Ran) -> Iterator[Fix]:
    """Rows take more room in memory than on disk: three times is our own rule of thumb."""
    size = ceil(3 * one.temp_bytes / max(one.temp_files, 1) / MB)
    if size <= 256:
        yield Fix(
            "Give this statement the memory that it needs, in its own transaction",
            (f"SET LOCAL work_mem = '{max(size, 8)}MB';  -- before it, in its transaction",),
            risk="each sort or hash of it may take that much, in each session at once",
            verify="no 'temporary file' line of it in the next log",
            undo="leave the SET LOCAL out",
        )
    yield Fix(
        "See which sort or join spills, and whether an index gives its order",
        (f"-- scaledoctor explain --dsn ... '{statement(one.statement, 200)}'",),
        risk="none: it plans, and runs nothing that writes",
        verify="scaledoctor scan with the new log",
        undo="none needed",
    )


@check("log.slow-statements", step=Step.TIGHTEN)
def slow_statements(
    log: SqlLog,
    statements: list[Statements] | None = None,
    logs: list[SqlLog] | None = None,
    /,
    *,
    share: float = DOMINANT,
    slow: float = 1.0,
    fewest: int = 5,
    sessions: float = 0.5,
) -> Iterator[Finding]:
    """The log has a slow statement that takes most of the logged time.

    Why: it keeps sessions busy that every other request then waits for.
    How measured: a statement with ``share`` of all logged time, ``fewest`` executions of ``slow``
    seconds on average, and ``sessions`` sessions busy with it on average over the log's span.
    Share and sessions are those of postgres.statement-share, which tells it exactly where
    pg_stat_statements is in the same scan: then this is quiet. A log of slow statements alone
    knows nothing of the quick ones, so that its share is of what was logged.
    Fix: its plan first.
    When to ignore: a report that runs when nobody waits.
    References: PostgreSQL manual, log_min_duration_statement.
    """
    if superseded(log, logs):
        return
    if statements:
        return
    for one in log.statements:
        busy = one.seconds / max(log.seconds, 60.0)
        if not log.busy or one.count < fewest or one.seconds < share * log.busy:
            continue
        if one.seconds < slow * one.count or busy < sessions:
            continue
        yield Finding(
            subject=statement(one.statement, 140),
            summary=f"{one.seconds / log.busy:.0%} of the logged time is {one.count:,} times "
            f"{statement(one.statement, 70)}, {duration(one.seconds / one.count)} each",
            severity=Severity.MEDIUM,
            confidence=Confidence.MEDIUM,
            evidence=(
                Evidence("share of the logged time", one.seconds / log.busy, "share", share,
                         SOURCE),
                Evidence("mean", one.seconds / one.count, "s", slow, SOURCE),
                Evidence("p95", one.p95, "s", source=SOURCE),
                Evidence("sessions busy with it, mean", busy, "sessions", sessions, SOURCE),
            ),
            fixes=(_plan(one),),
            impact=min(1.0, one.seconds / log.busy),
        )  # fmt: skip


def _plan(one: Ran) -> Fix:
    return Fix(
        "See its plan and the index that it lacks",
        (f"scaledoctor explain --dsn ... '{statement(one.statement, 200)}'",),
        language="text",
        risk="it is planned; run only when it is proved to change nothing",
        verify="scaledoctor scan with the new log: its mean is below a second",
        undo="none needed",
    )
