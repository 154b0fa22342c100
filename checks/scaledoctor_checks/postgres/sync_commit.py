"""Commits that wait for a synchronous standby which does not answer."""

from collections import Counter
from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Step, Window, check
from scaledoctor.sources.postgres import Activity, LockTable, Server, Session
from scaledoctor_checks.postgres._blocking import blocking, severity

SOURCE = "pg_stat_activity, wait event SyncRep"


@check("postgres.sync-commit-stall", step=Step.SCALE_OUT)
def sync_commit_stall(
    server: Server,
    window: Window[Activity],
    locks: Window[LockTable] | None,
    /,
    *,
    sessions: float = 0.5,
    seconds: float = 1.0,
) -> Iterator[Finding]:
    """Commits hang because no synchronous standby confirms them.

    Why: a transaction whose commit waits keeps its row locks and its connection; writers pile up
    until the pool is empty, and nothing in the database is slow.
    How measured: sessions in wait event SyncRep for at least ``seconds``, ``sessions`` of them on
    average. A healthy standby answers within milliseconds, so that a busy primary shows many such
    waits, but no old ones.
    Fix: bring the standby back; until then commit without it.
    When to ignore: when losing a commit is worse than standing still; that is its purpose.
    References: PostgreSQL manual, synchronous_standby_names, "Synchronous Replication".
    """
    window.last.require_visible(server)
    stuck = [s for a in window for s in a.sessions if _stuck(s, seconds)]
    mean = len(stuck) / len(window)
    if mean < sessions:
        return
    found = blocking(window, locks)
    behind = sum(r.blocked for r in found.roots.values() if r.committing)
    lost = (len(stuck) + behind) / found.busy
    labels = ", ".join(label for label, _ in Counter(s.label for s in stuck).most_common(3))
    longest = max(s.query_age or 0.0 for s in stuck)
    yield Finding(
        subject="synchronous_standby_names",
        summary=(
            f"{mean:.1f} commits of {labels} wait for a synchronous standby that does not confirm "
            f"them, the oldest for {longest:.0f} s"
        ),
        severity=severity(lost),
        evidence=(
            Evidence("commits that wait, mean", mean, "sessions", sessions, SOURCE),
            Evidence("the oldest has waited", longest, "s", seconds, SOURCE),
            Evidence("share of busy sessions, with those behind them", lost, "share",
                     source=SOURCE),
        ),
        fixes=(_FIX,),
        explains={"postgres.locks": behind / found.blocked} if behind else {},
        impact=lost,
    )  # fmt: skip


def _stuck(session: Session, seconds: float) -> bool:
    return session.wait_event == "SyncRep" and (session.query_age or 0.0) >= seconds


_FIX = Fix(
    "Commit without the standby until it is back",
    ("ALTER SYSTEM SET synchronous_standby_names = '';", "SELECT pg_reload_conf();"),
    risk="a commit is lost if the primary is lost before the standby has caught up",
    verify="SELECT application_name, state, sync_state FROM pg_stat_replication;",
    undo="ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf();",
)
