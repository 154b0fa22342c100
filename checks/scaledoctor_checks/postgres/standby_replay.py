"""A standby whose replay of the WAL waits, and the readers that wait behind it."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Step, Window, check
from scaledoctor.sources.postgres import Activity, LockTable, Server, Settings
from scaledoctor_checks.postgres._blocking import Blocking, blocking
from scaledoctor_checks.postgres._root import Root
from scaledoctor_checks.postgres._words import duration, statement, who

SOURCE = "pg_stat_activity, pg_locks"


@check("postgres.standby-replay-blocked", step=Step.OFFLOAD)
def standby_replay_blocked(
    server: Server,
    window: Window[Activity],
    locks: Window[LockTable],
    settings: Settings,
    /,
    *,
    mean_blocked: float = 0.5,
) -> Iterator[Finding]:
    """Readers of a standby wait behind the replay of the primary's WAL.

    Why: a schema change, TRUNCATE, or a vacuum that gives pages back locks its table on the
    standby too. The replay waits for a long query there, every later reader of the table waits
    behind the replay, and the data of all other tables grows old.
    How measured: the process that replays WAL is followed through pg_locks, for it has no
    transaction and pg_blocking_pids says nothing of it. Fires at a mean of ``mean_blocked``
    readers; their time is charged to the query that the replay waits for, or to the replayed lock
    itself when its transaction is still open on the primary.
    Fix: cancel the query; let the replay wait for less; keep such changes out of hours in which
    the standby is read.
    When to ignore: a standby whose reports matter more than fresh data.
    References: PostgreSQL manual, "Handling Query Conflicts", max_standby_streaming_delay.
    """
    window.last.require_visible(server)
    found = blocking(window, locks)
    for root in found.roots.values():
        if root.replayed and root.seen and found.mean(root) >= mean_blocked:
            replay = window.last.replay
            holds = replay is not None and replay.pid == root.pid
            yield _finding(root, found, settings, mean_blocked, holds=holds)


def _finding(
    root: Root, found: Blocking, settings: Settings, mean_blocked: float, *, holds: bool
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
            Evidence("max_standby_streaming_delay", _delay(settings), source="pg_settings"),
        ),
        fixes=_ON_PRIMARY if holds else tuple(_fixes(root, settings)),
        explains={"postgres.locks": found.share(root)},
        impact=found.impact(root),
    )


def _delay(settings: Settings) -> str:
    """How long the replay waits before it cancels the query; the setting is in ms."""
    milliseconds = settings.number("max_standby_streaming_delay", 30000.0)
    return "-1 (for ever)" if milliseconds < 0 else duration(milliseconds / 1000)


def _fixes(root: Root, settings: Settings) -> Iterator[Fix]:
    query, pid = root.session, root.pid
    verb = "terminate" if query.idle_in_transaction else "cancel"
    yield Fix(
        f"On the standby, end what the replay waits for: {query.label}",
        (f"SELECT pg_{verb}_backend({pid});",),
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
    yield _QUIET_HOURS


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
