"""A schema change that waits, and everybody who queues behind it."""

import re
from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Step, Window, check
from scaledoctor.sources.postgres import Activity, LockTable, Server
from scaledoctor_checks.postgres._blocking import Blocking, blocking
from scaledoctor_checks.postgres._maintenance import maintenance
from scaledoctor_checks.postgres._root import Root
from scaledoctor_checks.postgres._words import duration, statement, who

SOURCE = "pg_locks, pg_blocking_pids()"

ELSEWHERE = re.compile(r"relation (\d+) in database (.+)", re.S)


@check("postgres.ddl-queue", step=Step.TIGHTEN)
def ddl_queue(
    server: Server,
    window: Window[Activity],
    locks: Window[LockTable],
    /,
    *,
    mean_blocked: float = 0.5,
) -> Iterator[Finding]:
    """A waiting schema change makes every later query on its table wait too.

    Why: lock requests queue. ALTER TABLE waits for one reader to finish, and every query that
    comes after it, however harmless, waits behind the ALTER. The reader alone would let all pass.
    How measured: pg_locks shows a strong request not granted, sessions queued behind it on the
    same table, and a holder whose own lock does not conflict with theirs; their time is charged
    to the request. Fires at a mean of ``mean_blocked`` queued sessions.
    Fix: cancel the schema change, then run it with a short lock_timeout and try again until it
    gets through.
    When to ignore: never while users wait.
    References: PostgreSQL manual, "Explicit Locking"; lock_timeout.
    """
    window.last.require_visible(server)
    found = blocking(window, locks)
    for root in found.roots.values():
        if root.queued and found.mean(root) >= mean_blocked:
            yield _finding(root, found, mean_blocked, server.major)


def _its_name(relation: str) -> Iterator[Evidence]:
    """How to see what a relation of another database is called."""
    if match := ELSEWHERE.fullmatch(relation):
        oid, database = match.groups()
        yield Evidence("its name", f"in database {database}: SELECT {oid}::regclass;")


def _again(text: str) -> Fix:
    return Fix(
        "Run it again so that it never queues for long",
        (
            "SET lock_timeout = '2s';",
            f"-- then the same statement, tried again until it succeeds: {text}",
        ),
        risk="each try stops the table for at most 2 s",
        verify="the migration tool reports success",
        undo="RESET lock_timeout;",
    )


def _finding(root: Root, found: Blocking, mean_blocked: float, major: int) -> Finding:
    ddl, impact = root.session, found.impact(root)
    holders = "; ".join(
        f"{who(h)}, {h.state}, its transaction open for {duration(h.transaction_age)}"
        for h in list(root.holders.values())[:3]
    )
    return Finding(
        subject=f"{root.relation} by {ddl.label}",
        summary=(
            f"{statement(ddl.query, 70)} of {who(ddl)} waits for {root.relation}, and "
            f"{found.mean(root):.1f} sessions queue behind it ({root.victim_labels}); "
            f"it waits for {holders or 'a session that is gone'}"
        ),
        severity=found.severity(root),
        evidence=(
            Evidence("sessions queued behind it, mean", found.mean(root), "sessions", mean_blocked,
                     SOURCE),
            Evidence("share of all blocked time", found.share(root), "share", source=SOURCE),
            Evidence("it has waited", ddl.query_age or 0.0, "s", source=SOURCE),
            Evidence("it waits for", holders, source=SOURCE),
            *_its_name(root.relation),
        ),
        fixes=(
            Fix(
                f"Cancel the schema change on {root.relation}: traffic flows at once",
                (f"SELECT pg_cancel_backend({ddl.pid});",),
                risk="the migration fails and must be run again; no data is lost",
                verify="SELECT count(*) FROM pg_locks WHERE NOT granted;",
                undo="run the migration again as below",
            ),
            maintenance(ddl.query, ddl.database, major) or _again(statement(ddl.query, 70)),
        ),
        explains={"postgres.locks": found.share(root)},
        impact=impact,
    )  # fmt: skip
