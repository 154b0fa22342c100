"""Transactions that take turns on the same rows."""

from collections import Counter
from collections.abc import Iterator

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Step,
    Window,
    check,
)
from scaledoctor.sources.postgres import Activity, LockTable, Server
from scaledoctor.sql import equality_predicates
from scaledoctor_checks.postgres._blocking import Blocking, blocking, severity
from scaledoctor_checks.postgres._root import Root
from scaledoctor_checks.postgres._words import statement

SOURCE = "pg_stat_activity, pg_blocking_pids()"


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
    """Many short transactions queue for the same rows or the same advisory lock.

    Why: all of them update the same row (a counter, a stock, a balance), so that they run one at
    a time, however many connections or cores there are.
    How measured: the blocked time is spread over at least three roots, none of which has half of
    it, or half of it belongs to roots that get their turn: they waited with the statement with
    which others now wait for them. Fires at a mean of ``mean_blocked`` waiters and
    ``share_of_busy`` of the busy sessions' time.
    Fix: update the shared row last in the transaction, keep nothing slow behind it, spread the
    row over several, or collect the changes in a queue; of an advisory lock, one for each thing.
    When to ignore: a job that is meant to run one at a time.
    References: PostgreSQL manual, "Row-Level Locks".
    """
    window.last.require_visible(server)
    found = blocking(window, locks)
    spread = _spread(found)
    total = sum(r.blocked for r in spread)
    if not spread:
        return
    mean, impact = total / found.samples, total / found.busy
    if mean < mean_blocked or impact < share_of_busy:
        return
    victims = [v for r in spread for v in r.victims]
    text, times = _most_common([v.query for v in victims])
    advisory = sum(v.wait_event == "advisory" for v in victims) * 2 > len(victims)
    table = "" if advisory else _table(locks, text)
    what = "an advisory lock" if advisory else f"the same rows of {table or 'one table'}"
    labels = ", ".join(name for name, _ in Counter(v.label for v in victims).most_common(3))
    yield Finding(
        subject=table or statement(text),
        summary=(
            f"sessions of {labels} take turns on {what}: {mean:.1f} wait at any time for "
            f"{statement(text)}"
        ),
        severity=severity(impact),
        confidence=Confidence.HIGH if times >= len(victims) / 2 else Confidence.MEDIUM,
        evidence=(
            Evidence("blocked sessions, mean", mean, "sessions", mean_blocked, SOURCE),
            Evidence("share of busy time", impact, "share", share_of_busy, SOURCE),
            Evidence("different sessions at the root", len(spread), "sessions", source=SOURCE),
            Evidence("root idle in its transaction", _idle(spread), "share", source=SOURCE),
        ),
        fixes=(_finer(statement(text)) if advisory else _fix(statement(text)),),
        explains={"postgres.locks": total / found.blocked},
        impact=impact,
    )


def _spread(found: Blocking) -> list[Root]:
    """The roots that share the waiting; empty when it is one session's."""
    single = [
        r for r in found.roots.values() if r.pid > 0 and r.seen and not r.queued and not r.replayed
    ]
    total = sum(r.blocked for r in single)
    alone = max((r.blocked for r in single if not r.turn), default=0.0)
    turns = [r for r in single if r.turn]
    several = len(turns) >= 2 or not all(r.stays for r in turns)
    if several and sum(r.blocked for r in turns) >= total / 2:
        # A root beside them that other checks would name is left to them.
        return [r for r in single if r.turn or r.blocked < total / 3]
    return single if len(single) >= 3 and alone < total / 2 else []


def _most_common(items: list[str]) -> tuple[str, int]:
    return max(Counter(items).items(), key=lambda kv: (kv[1], kv[0]), default=("", 0))


def _table(locks: Window[LockTable] | None, text: str) -> str:
    """The table whose rows are queued for, else the one that the statement names."""
    queued = [lock.relation for table in locks or () for lock in table.locks
              if lock.kind == "tuple" and lock.relation and not lock.elsewhere]  # fmt: skip
    named = equality_predicates(text)
    of_text = f"{named[0].schema}.{named[0].table}".lstrip(".") if named else ""
    return _most_common(queued)[0] or of_text


def _idle(roots: list[Root]) -> float:
    """Share of the sightings at which a root did nothing in its transaction."""
    seen = [s for root in roots for s in root.seen]
    return sum(s.idle_in_transaction for s in seen) / len(seen)


def _fix(text: str) -> Fix:
    return Fix(
        "Shorten the time between the update of the shared row and the commit",
        (
            "-- 1. move the update of the shared row to the end of the transaction",
            "-- 2. call nothing outside the database between it and COMMIT",
            "-- 3. still too hot: spread it, and sum when reading",
            f"--    {text}",
        ),
        risk="a change in the application; test that the order of updates stays the same",
        verify="scaledoctor scan again: postgres.locks below 10 %",
        undo="deploy the version before",
    )


def _finer(text: str) -> Fix:
    return Fix(
        "Take the advisory lock for less: a key for each thing, and for a shorter time",
        (
            "-- 1. lock the thing that is worked on, not the whole job: its id is the key",
            "-- 2. take it last, and give it back before anything outside the database is called",
            "-- 3. who need not wait takes pg_try_advisory_lock and comes again later",
            f"--    {text}",
        ),
        language="text",
        risk="a change in the application; what the one lock kept apart may then run at once",
        verify="scaledoctor scan again: postgres.locks below 10 %",
        undo="deploy the version before",
    )
