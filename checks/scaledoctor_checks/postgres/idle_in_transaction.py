"""Transactions held open by sessions that do nothing."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity, Step, Window, check
from scaledoctor.sources.postgres import Activity, LockTable, Server, Session
from scaledoctor.sql import identifier
from scaledoctor_checks.postgres._blocking import Blocking, blocking
from scaledoctor_checks.postgres._root import Root
from scaledoctor_checks.postgres._shared_rows import confidence, end_all, together
from scaledoctor_checks.postgres._words import duration, statement, who

SOURCE = "pg_stat_activity, pg_blocking_pids()"


@check("postgres.idle-in-transaction", step=Step.TIGHTEN)
def idle_in_transaction(
    server: Server,
    window: Window[Activity],
    locks: Window[LockTable] | None,
    /,
    *,
    older_than: float = 60.0,
    mean_blocked: float = 0.5,
    share: float = 1 / 3,
    open_for: float = 1.0,
) -> Iterator[Finding]:
    """Sessions that hold a transaction open while doing nothing.

    Why: an open transaction keeps its row locks, so that everybody who wants the same rows waits
    for as long as the application forgets to commit; and it keeps dead rows from being removed.
    How measured: by what it blocks (``mean_blocked`` sessions on average and ``share`` of all
    blocked time, chased through pg_blocking_pids in every sample) or, as a risk, by age since its
    last statement (``older_than`` seconds). Never by count: 81 of 90 sessions idle in transaction
    were healthy. One transaction of at least ``open_for`` seconds is a forgotten one; many short
    ones of one session are a program that does other work inside its transactions.
    Fix: end the session, then commit before every remote call, and let the server end forgotten
    transactions by idle_in_transaction_session_timeout.
    When to ignore: an interactive session that blocks nobody.
    References: PostgreSQL manual, idle_in_transaction_session_timeout.
    """
    window.last.require_visible(server)
    found = blocking(window, locks)
    blamed = {
        root.pid: root
        for root in found.roots.values()
        if root.seen and root.idle and not root.queued and not root.replayed
        # A crowd of roots that take turns is a hot row, not one forgotten transaction.
        and not root.turn and found.mean(root) >= mean_blocked and found.share(root) >= share
    }  # fmt: skip
    held = {pid for root in blamed.values() for pid in (root.pid, *root.sharers)}
    for root in blamed.values():
        if len(window) == 1 or _stays(root, open_for):
            yield _blocks(root, found, mean_blocked, server)
        else:
            yield _dawdles(root, found, mean_blocked)
    for session in window.last.sessions:
        forgotten = session.idle_in_transaction and (session.state_age or 0) >= older_than
        if forgotten and session.pid not in held:
            yield _forgotten(session, older_than, server)


def _stays(root: Root, open_for: float) -> bool:
    """The same transaction was open all the time it was at the root, and for long enough."""
    return root.stays and (root.session.transaction_age or 0.0) >= open_for


def _dawdles(root: Root, found: Blocking, mean_blocked: float) -> Finding:
    session, impact = root.session, found.impact(root)
    longest = max(s.transaction_age or 0.0 for s in root.seen)
    return Finding(
        subject=session.label,
        summary=(
            f"{who(session)} does other work inside its transactions, again and again, for up to "
            f"{duration(longest)}; {found.mean(root):.1f} sessions wait for it "
            f"({root.victim_labels})"
        ),
        severity=found.severity(root),
        evidence=(
            Evidence("blocked sessions, mean", found.mean(root), "sessions", mean_blocked, SOURCE),
            Evidence("share of all blocked time", found.share(root), "share", source=SOURCE),
            Evidence("longest such transaction seen", longest, "s", source=SOURCE),
            Evidence("its last statement", statement(session.query), source=SOURCE),
        ),
        fixes=(
            Fix(
                f"Commit in {session.label} before it does anything outside the database",
                (
                    "-- 1. remote calls, files, mails and waits come before BEGIN or after COMMIT",
                    "-- 2. what must follow the commit goes to a queue, in the same transaction",
                    f"--    {statement(session.query)}",
                ),
                language="text",
                risk="a change in the application; the work in between may need its own undo",
                verify="scaledoctor scan again: postgres.locks below 10 %",
                undo="deploy the version before",
            ),
        ),
        explains={"postgres.locks": found.share(root)},
        impact=impact,
    )


def _blocks(root: Root, found: Blocking, mean_blocked: float, server: Server) -> Finding:
    session, impact = root.session, found.impact(root)
    return Finding(
        subject=session.label,
        summary=(
            f"{who(session)} has left a transaction idle for {duration(session.state_age)}; "
            f"{found.mean(root):.1f} sessions wait for it ({root.victim_labels}){together(root)}"
        ),
        severity=found.severity(root),
        confidence=confidence(root),
        evidence=(
            Evidence("blocked sessions, mean", found.mean(root), "sessions", mean_blocked, SOURCE),
            Evidence("share of all blocked time", found.share(root), "share", source=SOURCE),
            Evidence("idle since its last statement", session.state_age or 0.0, "s", source=SOURCE),
            Evidence("transaction open for", session.transaction_age or 0.0, "s", source=SOURCE),
            Evidence("its last statement", statement(session.query), source=SOURCE),
        ),
        fixes=(*((end_all(root),) if root.sharers else ()), *_fixes(session, server)),
        explains={"postgres.locks": found.share(root)},
        impact=impact,
    )


def _forgotten(session: Session, older_than: float, server: Server) -> Finding:
    age = session.state_age or 0.0
    return Finding(
        subject=session.label,
        summary=(
            f"{who(session)} has left a transaction idle for {duration(age)}; "
            "it blocks nobody now"
        ),
        severity=Severity.MEDIUM if age >= 5 * older_than else Severity.LOW,
        evidence=(
            Evidence("idle since its last statement", age, "s", older_than, SOURCE),
            Evidence("its last statement", statement(session.query), source=SOURCE),
        ),
        fixes=_fixes(session, server),
        kind=Kind.RISK,
    )  # fmt: skip


def _fixes(session: Session, server: Server) -> tuple[Fix, ...]:
    role = identifier(session.user or server.role)
    return (
        Fix(
            f"End the forgotten transaction of {session.label}",
            (f"SELECT pg_terminate_backend({session.pid});",),
            risk="its uncommitted work is rolled back; its application sees a lost connection",
            verify="SELECT pid, state, now() - state_change FROM pg_stat_activity "
            "WHERE state LIKE 'idle in transaction%';",
            undo="none: the application runs its work again",
        ),
        Fix(
            "Let the server end such transactions by itself",
            (f"ALTER ROLE {role} SET idle_in_transaction_session_timeout = '60s';",),
            risk="sessions of this role that pause longer inside a transaction are ended; "
            "counts for new sessions",
            verify="SELECT rolname, rolconfig FROM pg_roles WHERE rolconfig IS NOT NULL;",
            undo=f"ALTER ROLE {role} RESET idle_in_transaction_session_timeout;",
        ),
    )
