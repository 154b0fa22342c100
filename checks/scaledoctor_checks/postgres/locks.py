"""Sessions that wait for locks: how much of the time, and because of whom."""

from collections.abc import Iterator

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Step,
    Use,
    Window,
    check,
    resource,
)
from scaledoctor.sources.postgres import Activity, LockTable, Server, XminHolder, XminHolders
from scaledoctor_checks.postgres._blocking import CYCLE, PREPARED, Root, blocking, severity
from scaledoctor_checks.postgres._words import duration, literal, statement, who

SOURCE = "pg_stat_activity, pg_blocking_pids()"


@resource("postgres.locks", step=Step.TIGHTEN)
def locks(
    server: Server, window: Window[Activity], /, *, warn: float = 0.1, critical: float = 0.3
) -> Use:
    """Busy sessions that wait for another session's lock.

    How measured: mean sessions with wait_event_type Lock (row, table, transaction or advisory
    locks; not ``extend``) over all busy sessions. Contended from a mean of one waiter.
    Thresholds: a fifth of the sampled session time waiting on Lock is the point at which
    trouble was seen in practice; we warn at half of that.
    """
    window.last.require_visible(server)
    waiting = window.mean(lambda a: sum(s.blocked for s in a.sessions))
    busy = window.mean(lambda a: sum(s.active or s.blocked for s in a.sessions))
    return Use(
        used=waiting,
        limit=max(busy, 1.0),
        unit="busy sessions",
        warn=warn,
        critical=critical,
        waiting=waiting,
        contended=waiting >= 1.0,
        scales=False,
    )


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
    blocked time and keeps ``mean_blocked`` sessions waiting on average.
    Fix: end the root, not the waiters; then make it shorter, or move it out of busy hours.
    When to ignore: a planned migration in a maintenance window.
    References: PostgreSQL manual, "Explicit Locking"; pg_blocking_pids().
    """
    window.last.require_visible(server)
    found = blocking(window, locks)
    for root in found.roots.values():
        if found.mean(root) < mean_blocked or found.share(root) < share or root.queued:
            continue
        if root.pid == CYCLE or (root.pid != PREPARED and (not root.seen or root.idle)):
            continue
        impact = found.impact(root)
        base = Finding(
            subject=root.session.label if root.seen else "prepared transaction",
            summary=_summary(root, found.mean(root), prepared),
            severity=severity(impact),
            evidence=(
                Evidence("blocked sessions, mean", found.mean(root), "sessions", mean_blocked,
                         SOURCE),
                Evidence("share of all blocked time", found.share(root), "share", share, SOURCE),
                Evidence("who waits", root.victim_labels, source=SOURCE),
            ),
            fixes=tuple(_fixes(root, prepared)),
            explains={"postgres.locks": found.share(root)},
            impact=impact,
        )  # fmt: skip
        yield base


def _summary(root: Root, mean: float, prepared: XminHolders | None) -> str:
    waits = f"keeps {mean:.1f} sessions waiting ({root.victim_labels})"
    if root.pid == PREPARED:
        names = [h.name for h in _prepared(prepared)]
        return f"prepared transaction {', '.join(names[:3]) or '(name not visible)'} {waits}"
    session = root.session
    return (
        f"{who(session)}, in a transaction for {duration(session.transaction_age)}, {waits}: "
        f"{statement(session.query)}"
    )


def _prepared(holders: XminHolders | None) -> list[XminHolder]:
    return [h for h in holders.holders if h.kind == "prepared transaction"] if holders else []


def _fixes(root: Root, prepared: XminHolders | None) -> Iterator[Fix]:
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
    yield Fix(
        f"Cancel the statement of {root.session.label}",
        (f"SELECT pg_cancel_backend({pid});",),
        risk="its transaction fails and rolls back; its application sees an error",
        verify="SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock';",
        undo="run the work again, in smaller batches",
    )
    yield Fix(
        "If it does not yield, end its session",
        (f"SELECT pg_terminate_backend({pid});",),
        risk="as above, and its connection is lost",
        verify="SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock';",
        undo="the application reconnects by itself if it has a pool",
    )


@check("postgres.hot-row", step=Step.TIGHTEN)
def hot_row(
    server: Server,
    window: Window[Activity],
    locks: Window[LockTable] | None,
    /,
    *,
    mean_blocked: float = 1.0,
    share_of_busy: float = 0.2,
) -> Iterator[Finding]:
    """Many short transactions queue for the same rows, one after the other.

    Why: all of them update the same row (a counter, a stock, a balance), so that they run one at
    a time, however many connections or cores there are.
    How measured: the blocked time is spread over many roots, none of which has half of it, and
    the waiters run the same statement. Fires at a mean of ``mean_blocked`` waiters and
    ``share_of_busy`` of the busy sessions' time.
    Fix: update the shared row last in the transaction, keep nothing slow behind it, spread the
    row over several, or collect the changes in a queue.
    When to ignore: a job that is meant to run one at a time.
    References: PostgreSQL manual, "Row-Level Locks".
    """
    window.last.require_visible(server)
    found = blocking(window, locks)
    spread = [r for r in found.roots.values() if r.pid > 0 and r.seen and not r.queued]
    total = sum(r.blocked for r in spread)
    alone = max((r.blocked for r in spread), default=0.0)
    if len(spread) < 3 or alone >= total / 2:
        return
    mean, impact = total / found.samples, total / found.busy
    if mean < mean_blocked or impact < share_of_busy:
        return
    victims = [v for r in spread for v in r.victims]
    text, times = _most_common([v.query for v in victims])
    relations = [t.relation for table in (locks or ()) for t in table.locks if t.kind == "tuple"]
    table = _most_common([r for r in relations if r])[0] or _table_of(text)
    holders = [s for r in spread for s in r.seen]
    idle = sum(s.idle_in_transaction for s in holders) / len(holders)
    yield Finding(
        subject=table or statement(text),
        summary=(
            f"{len({v.pid for v in victims})} sessions take turns on the same rows of "
            f"{table or 'one table'}: {mean:.1f} wait at any time for {statement(text)}"
        ),
        severity=severity(impact),
        confidence=Confidence.HIGH if times >= len(victims) / 2 else Confidence.MEDIUM,
        evidence=(
            Evidence("blocked sessions, mean", mean, "sessions", mean_blocked, SOURCE),
            Evidence("share of busy time", impact, "share", share_of_busy, SOURCE),
            Evidence("different sessions at the root", len(spread), "sessions", 3, SOURCE),
            Evidence("root idle in its transaction", idle, "share", source=SOURCE),
        ),
        fixes=(
            Fix(
                "Shorten the time between the update of the shared row and the commit",
                (
                    "-- 1. move the update of the shared row to the end of the transaction",
                    "-- 2. call nothing outside the database between it and COMMIT",
                    "-- 3. still too hot: spread it, and sum when reading",
                    f"--    {statement(text)}",
                ),
                risk="a change in the application; test that the order of updates stays the same",
                verify="scaledoctor scan again: postgres.locks below 10 %",
                undo="deploy the version before",
            ),
        ),
        explains={"postgres.locks": total / found.blocked},
        impact=impact,
    )


def _most_common(items: list[str]) -> tuple[str, int]:
    counts = {item: items.count(item) for item in set(items)}
    return max(counts.items(), key=lambda kv: (kv[1], kv[0]), default=("", 0))


def _table_of(text: str) -> str:
    from scaledoctor.sql import equality_predicates

    found = equality_predicates(text)
    return f"{found[0].schema}.{found[0].table}".lstrip(".") if found else ""
