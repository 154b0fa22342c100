"""One transaction at the root of the waiting: at work, or prepared and forgotten."""

from collections.abc import Iterator

from scaledoctor.sdk import (
    Evidence,
    Finding,
    Fix,
    Step,
    Window,
    check,
)
from scaledoctor.sources.postgres import Activity, LockTable, Server, XminHolder, XminHolders
from scaledoctor.sql import literal
from scaledoctor_checks.postgres._blocking import blocking
from scaledoctor_checks.postgres._causes import CYCLE, PREPARED
from scaledoctor_checks.postgres._maintenance import maintenance
from scaledoctor_checks.postgres._root import Root
from scaledoctor_checks.postgres._shared_rows import confidence, end_all, together
from scaledoctor_checks.postgres._words import duration, statement, who

SOURCE = "pg_stat_activity, pg_blocking_pids()"


@check("postgres.blocking-transaction", step=Step.TIGHTEN)
def blocking_transaction(
    server: Server,
    window: Window[Activity],
    locks: Window[LockTable] | None,
    prepared: XminHolders | None,
    /,
    *,
    mean_blocked: float = 0.5,
    share: float = 0.4,
) -> Iterator[Finding]:
    """One transaction, at work or prepared, keeps the others waiting for its locks.

    Why: what waits behind it holds connections and locks of its own; the queue grows with every
    request until the pool or the server is full.
    How measured: pg_blocking_pids is followed to a session that waits for nothing, in every
    sample; the blocked sessions' time is charged to it. Fires when it alone has ``share`` of all
    blocked time and keeps ``mean_blocked`` sessions waiting on average. A session that waited for
    the same rows before has its turn: that is a hot row.
    Fix: end the root, not the waiters; then make it shorter, or move it out of busy hours.
    When to ignore: a planned migration in a maintenance window.
    References: PostgreSQL manual, "Explicit Locking"; pg_blocking_pids().
    """
    window.last.require_visible(server)
    found = blocking(window, locks)
    for root in found.roots.values():
        if found.mean(root) < mean_blocked or found.share(root) < share or root.queued:
            continue
        if root.pid == CYCLE or root.committing or root.replayed or root.turn:
            continue  # other checks name these
        if root.pid != PREPARED and (not root.seen or root.idle):
            continue
        yield Finding(
            subject=root.session.label if root.seen else "prepared transaction",
            summary=_summary(root, found.mean(root), prepared),
            severity=found.severity(root),
            confidence=confidence(root),
            evidence=(
                Evidence("blocked sessions, mean", found.mean(root), "sessions", mean_blocked,
                         SOURCE),
                Evidence("share of all blocked time", found.share(root), "share", share, SOURCE),
                Evidence("who waits", root.victim_labels, source=SOURCE),
            ),
            fixes=tuple(_fixes(root, prepared, server.major)),
            explains={"postgres.locks": found.share(root)},
            impact=found.impact(root),
        )  # fmt: skip


def _summary(root: Root, mean: float, prepared: XminHolders | None) -> str:
    waits = f"keeps {mean:.1f} sessions waiting ({root.victim_labels})"
    if root.pid == PREPARED:
        names = [h.name for h in _prepared(prepared)]
        return f"prepared transaction {', '.join(names[:3]) or '(name not visible)'} {waits}"
    session = root.session
    if session.state == "idle":
        idle = duration(session.state_age)
        return f"{who(session)}, idle for {idle}, still holds an advisory lock and {waits}"
    if not root.stays:
        longest = duration(max(s.transaction_age or 0.0 for s in root.seen))
        head = f"{who(session)}, again and again, in ever new transactions of up to {longest},"
    else:
        head = f"{who(session)}, in a transaction for {duration(session.transaction_age)},"
    return f"{head} {waits}: {statement(session.query)}{together(root)}"


def _prepared(holders: XminHolders | None) -> list[XminHolder]:
    return [h for h in holders.holders if h.kind == "prepared transaction"] if holders else []


def _fixes(root: Root, prepared: XminHolders | None, major: int) -> Iterator[Fix]:
    if root.pid == PREPARED:
        yield Fix(
            "Decide the forgotten prepared transaction",
            tuple(
                f"ROLLBACK PREPARED {literal(h.name)};  -- or COMMIT PREPARED"
                for h in _prepared(prepared)
            ),
            risk="its work is lost with ROLLBACK, made durable with COMMIT: ask its owner",
            verify="SELECT gid, prepared FROM pg_prepared_xacts;",
            undo="none",
        )
        return
    pid = root.session.pid
    if root.sharers:
        yield end_all(root)
        return
    again = maintenance(root.session.query, root.session.database, major)
    if not root.stays and not again:
        yield _shorter(root)
        return
    if root.session.state == "idle":
        # Only a session-level advisory lock outlives a transaction; nothing runs to be cancelled.
        yield _end(f"End the session of {root.session.label}, which gives its lock back", pid)
        return
    yield Fix(
        f"Cancel the statement of {root.session.label}",
        (f"SELECT pg_cancel_backend({pid});",),
        risk="its transaction fails and rolls back; its application sees an error",
        verify="SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock';",
        undo="run it again as below" if again else "run the work again, in smaller batches",
    )
    if again:
        yield again
    yield _end("If it does not yield, end its session", pid)


def _shorter(root: Root) -> Fix:
    return Fix(
        f"Make the transactions of {root.session.label} shorter",
        (
            "-- 1. commit after fewer rows, and pause between the batches",
            "-- 2. update the rows that others want last in the transaction",
            f"--    {statement(root.session.query)}",
        ),
        language="text",
        risk="a change in the application; a batch that fails leaves those before it done",
        verify="scaledoctor scan again: postgres.locks below 10 %",
        undo="deploy the version before",
    )


def _end(title: str, pid: int) -> Fix:
    return Fix(
        title,
        (f"SELECT pg_terminate_backend({pid});",),
        risk="its transaction, if any, rolls back, and its connection is lost",
        verify="SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock';",
        undo="the application reconnects by itself if it has a pool",
    )
