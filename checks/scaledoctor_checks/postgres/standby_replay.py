"""A standby whose replay of the WAL waits, and the readers that wait behind it."""

from collections.abc import Iterator

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Kind,
    Severity,
    Step,
    Window,
    check,
)
from scaledoctor.sources.postgres import (
    Activity,
    LockTable,
    Replay,
    Server,
    Session,
    Settings,
)
from scaledoctor_checks.postgres._blocking import Blocking, blocking
from scaledoctor_checks.postgres._root import Root
from scaledoctor_checks.postgres._words import duration, statement, who

SOURCE = "pg_stat_activity, pg_locks"
REPLAYED = "pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()"


STALE = 30.0
"""Seconds behind from which the data is old: the default of max_standby_streaming_delay, after
which PostgreSQL itself would have cancelled what is in the way."""

CONFLICTS = ("relation", "RecoveryConflictSnapshot", "RecoveryConflictTablespace", "BufferPin")
"""What the replay waits for when a query of the standby is in its way."""


@check("postgres.standby-replay-blocked", step=Step.OFFLOAD)
def standby_replay_blocked(
    server: Server,
    window: Window[Activity],
    locks: Window[LockTable],
    settings: Settings,
    behind: Replay | None = None,
    /,
    *,
    mean_blocked: float = 0.5,
    stale: float = STALE,
) -> Iterator[Finding]:
    """Readers of a standby wait behind the replay of the primary's WAL.

    Why: a schema change, TRUNCATE, or a vacuum that gives pages back locks its table on the
    standby too. The replay waits for a long query there, every later reader of the table waits
    behind the replay, and the data of all other tables grows old.
    How measured: the process that replays WAL is followed through pg_locks, for it has no
    transaction and pg_blocking_pids says nothing of it. Fires at a mean of ``mean_blocked``
    readers; their time is charged to the query that the replay waits for, or to the replayed lock
    itself when its transaction is still open on the primary. As a risk when nobody waits, but a
    query is in the replay's way most of the time and the last commit replayed is ``stale``
    seconds old.
    Fix: cancel the query; let the replay wait for less; keep such changes out of hours in which
    the standby is read.
    When to ignore: a standby whose reports matter more than fresh data.
    References: PostgreSQL manual, "Handling Query Conflicts", max_standby_streaming_delay.
    """
    window.last.require_visible(server)
    found = blocking(window, locks)
    named = False
    for root in found.roots.values():
        if root.replayed and root.seen and found.mean(root) >= mean_blocked:
            replay = window.last.replay
            holds = replay is not None and replay.pid == root.pid
            named = True
            yield _finding(root, found, settings, behind, mean_blocked, holds=holds)
    stuck = window.mean(lambda a: a.replay is not None and a.replay.wait_event in CONFLICTS)
    if not named and stuck >= 0.5 and behind and behind.waiting and (behind.age or 0) >= stale:
        yield _grows_old(window.last, locks.last, settings, behind, stale)


def _grows_old(
    activity: Activity, table: LockTable, settings: Settings, behind: Replay, stale: float
) -> Finding:
    """Nobody waits for a lock, but what is read here is old."""
    holders = table.ahead(activity.replay.pid) if activity.replay else ()
    known = [s for s in activity.sessions if s.pid in holders]
    # A snapshot conflict has no lock: the oldest snapshot is in the way.
    oldest = max(activity.sessions, key=lambda s: s.xid_age or -1, default=None)
    culprit = known[0] if known else oldest
    label = culprit.label if culprit else "a query"
    age = behind.age or 0.0
    return Finding(
        subject=label,
        summary=(
            f"the replay of the primary's changes waits for {who(culprit) if culprit else label}: "
            f"{(behind.waiting or 0) / 1e6:.1f} MB wait, the data here is {duration(age)} old"
        ),
        severity=Severity.MEDIUM,
        kind=Kind.RISK,
        confidence=Confidence.HIGH if known else Confidence.MEDIUM,
        evidence=(
            Evidence("last commit replayed", age, "s ago", stale, "pg_last_xact_replay_timestamp"),
            *_waits(behind),
            Evidence("max_standby_streaming_delay", _delay(settings), source="pg_settings"),
        ),
        fixes=tuple(_fixes(culprit, settings, _QUIET_HOURS if known else _FEEDBACK))
        if culprit
        else (_FEEDBACK,),
    )


def _waits(behind: Replay | None) -> Iterator[Evidence]:
    if behind and behind.waiting is not None:
        yield Evidence("WAL received and not replayed", behind.waiting / 1e6, "MB", source=REPLAYED)


def _finding(
    root: Root,
    found: Blocking,
    settings: Settings,
    behind: Replay | None,
    mean_blocked: float,
    *,
    holds: bool,
) -> Finding:
    waits = f"{found.mean(root):.1f} readers wait ({root.victim_labels})"
    query = root.session
    if holds:
        summary = f"{waits} for a lock that an open transaction of the primary has: it is replayed"
    else:
        summary = (
            f"the replay of the primary's changes waits for {who(query)}, in a transaction for "
            f"{duration(query.transaction_age)}: {statement(query.query, 70)}; {waits} behind it"
        )
    return Finding(
        subject="open transaction on the primary" if holds else query.label,
        summary=summary,
        severity=found.severity(root),
        evidence=(
            Evidence("readers that wait, mean", found.mean(root), "sessions", mean_blocked, SOURCE),
            Evidence("share of all blocked time", found.share(root), "share", source=SOURCE),
            *_waits(behind),
            Evidence("max_standby_streaming_delay", _delay(settings), source="pg_settings"),
        ),
        fixes=_ON_PRIMARY if holds else tuple(_fixes(query, settings, _QUIET_HOURS)),
        explains={"postgres.locks": found.share(root)},
        impact=found.impact(root),
    )


def _delay(settings: Settings) -> str:
    """How long the replay waits before it cancels the query; the setting is in ms."""
    milliseconds = settings.number("max_standby_streaming_delay", 30000.0)
    return "-1 (for ever)" if milliseconds < 0 else duration(milliseconds / 1000)


def _fixes(query: Session, settings: Settings, later: Fix) -> Iterator[Fix]:
    verb = "terminate" if query.idle_in_transaction else "cancel"
    yield Fix(
        f"On the standby, end what the replay waits for: {query.label}",
        (f"SELECT pg_{verb}_backend({query.pid});",),
        risk="its result is lost; a standby holds no uncommitted work",
        verify="SELECT count(*) FROM pg_locks WHERE NOT granted;",
        undo="run it again",
    )
    now = settings.number("max_standby_streaming_delay", 30000.0) / 1000
    if now < 0 or now > 30:
        yield Fix(
            "Let the replay wait for queries no longer than readers can",
            (
                "ALTER SYSTEM SET max_standby_streaming_delay = '30s';  -- on the standby",
                "SELECT pg_reload_conf();",
            ),
            risk="queries that are in its way for longer are cancelled: run long reports on a "
            "standby of their own, with a longer delay",
            verify="SELECT confl_lock FROM pg_stat_database_conflicts "
            "WHERE datname = current_database();",
            undo="ALTER SYSTEM RESET max_standby_streaming_delay; SELECT pg_reload_conf();",
        )
    yield later


_QUIET_HOURS = Fix(
    "Keep exclusive locks out of the hours in which the standby is read",
    (
        "-- on the primary: run schema changes and TRUNCATE while no report runs on the standby",
        "-- where it was a vacuum that cut the table's empty end:",
        "-- ALTER TABLE ... SET (vacuum_truncate = off);",
        "-- hot_standby_feedback = on keeps rows that the standby still reads, at the price of",
        "-- bloat on the primary; against such locks it does not help",
    ),
    risk="with vacuum_truncate off a table's empty end stays on disk",
    verify="SELECT confl_lock FROM pg_stat_database_conflicts WHERE datname = current_database();",
    undo="ALTER TABLE ... RESET (vacuum_truncate);",
)

_FEEDBACK = Fix(
    "Let the primary keep the rows that queries of the standby still read",
    ("ALTER SYSTEM SET hot_standby_feedback = on;  -- on the standby", "SELECT pg_reload_conf();"),
    risk="a long query of the standby then keeps dead rows on the primary: bloat there",
    verify="SELECT confl_snapshot FROM pg_stat_database_conflicts "
    "WHERE datname = current_database();  -- grows no more",
    undo="ALTER SYSTEM RESET hot_standby_feedback; SELECT pg_reload_conf();",
)

_ON_PRIMARY = (
    Fix(
        "On the primary, find the transaction that keeps the lock, and end it",
        (
            "SELECT a.pid, a.application_name, a.state, now() - a.xact_start AS open_for, "
            "l.relation::regclass FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
            "WHERE l.granted AND l.mode = 'AccessExclusiveLock' AND l.locktype = 'relation' "
            "ORDER BY a.xact_start;",
            "SELECT pg_terminate_backend(PID);  -- the pid from above",
        ),
        risk="its uncommitted work is rolled back",
        verify="on the standby: SELECT count(*) FROM pg_locks WHERE NOT granted;",
        undo="run the work again, with nothing between the schema change and COMMIT",
    ),
    _QUIET_HOURS,
)
