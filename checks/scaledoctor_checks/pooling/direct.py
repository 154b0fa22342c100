"""Applications that hold PostgreSQL's slots with idle connections, and no pooler in between."""

from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Kind, Severity, Step, Window, check
from scaledoctor.sources.host import Processes
from scaledoctor.sources.host.processes import POOLERS
from scaledoctor.sources.pgbouncer import PoolerConfig
from scaledoctor.sources.postgres import Activity, Server, Settings
from scaledoctor_checks.pooling._free_now import free_now, who
from scaledoctor_checks.pooling._new_ini import demands, pooler_fixes

SOURCE = "pg_stat_activity, pg_settings"

GONE = 0.95
"""Share of the slots from which the last ones are going: our own choice, as for one hog."""


@check("pooling.no-pooler", step=Step.POOL)
def no_pooler(
    server: Server,
    window: Window[Activity],
    settings: Settings,
    pooler: PoolerConfig | None,
    processes: Processes | None,
    /,
    *,
    risk: float = 0.5,
    near: float = 0.75,
    idle: float = 0.7,
    hog: float = 0.5,
    instances: int = 2,
) -> Iterator[Finding]:
    """Applications or instances fill the slots with connections that mostly idle.

    Why: instances x pool size grows with every instance and doubles in a deployment, however
    little each connection does; max_connections does not grow with it.
    How measured: at least ``instances`` of address x application hold sessions, ``idle`` of those
    are idle on average, and they take ``risk`` of the usable slots; a live finding from ``near``
    of them. When one application alone has ``hog`` of the sessions by then,
    postgres.connection-hog names it. Silent when a pooler is a target of ours; when one runs on
    this host, until the last slots go.
    Fix: free the idle connections, where the last slots are going; then PgBouncer in transaction
    mode, sized by the busiest moment seen.
    When to ignore: applications that need sessions: LISTEN, advisory locks, temporary tables.
    References: PgBouncer, "Features"; PostgreSQL wiki, "Number Of Database Connections".
    """
    window.last.require_visible(server)
    beside = any(p.label.startswith(POOLERS) for p in processes.processes) if processes else False
    if server.pooled or pooler is not None:
        return
    usable = settings.max_connections - settings.reserved
    taken = min(usable, int(window.peak(lambda a: len(a.sessions) + a.own)))
    groups = {(s.client, s.label) for a in window for s in a.sessions}
    mean = window.mean(lambda a: len(a.sessions))
    rest = window.mean(lambda a: sum(s.state == "idle" for s in a.sessions)) / mean if mean else 0
    from_on = GONE if beside else risk
    if taken < from_on * usable or rest < idle or len(groups) < instances:
        return
    if taken >= near * usable and _largest(window.last) >= hog:
        return
    live = taken >= near * usable
    found = _finding(window, server, settings, taken, len(groups), rest, live=live, beside=beside)
    if found.fixes:
        yield found


def _largest(activity: Activity) -> float:
    """Share of the sessions that one application of one user has."""
    counts: dict[tuple[str, str], int] = {}
    for session in activity.sessions:
        key = (session.label, session.user)
        counts[key] = counts.get(key, 0) + 1
    return max(counts.values(), default=0) / max(1, len(activity.sessions))


def _finding(
    window: Window[Activity],
    server: Server,
    settings: Settings,
    taken: int,
    groups: int,
    idle: float,
    *,
    live: bool,
    beside: bool,
) -> Finding:
    usable = settings.max_connections - settings.reserved
    busy = int(window.peak(lambda a: sum(s.state != "idle" for s in a.sessions)))
    each = len(window.last.sessions) / groups
    full = taken / usable
    biggest = demands(window)[0]
    return Finding(
        subject=f"{biggest.database}/{biggest.user}",
        summary=(
            f"{who(window)} hold {taken} of {usable} slots, {idle:.0%} of them idle and at most "
            f"{busy} busy at once" + ("" if beside else "; no pooler is in between")
        ),
        severity=Severity.CRITICAL if full >= GONE
        else Severity.HIGH if live
        else Severity.MEDIUM if 2 * taken > usable else Severity.LOW,
        confidence=Confidence.MEDIUM,
        evidence=(
            Evidence("slots taken", float(taken), f"of {usable}", 0.5 * usable, SOURCE),
            Evidence("instances (address x application)", float(groups), "instances", 2, SOURCE),
            Evidence("connections per instance, mean", each, "connections", source=SOURCE),
            Evidence("idle, mean", idle, "share", 0.7, SOURCE),
            Evidence("most busy at once", float(busy), "sessions", source=SOURCE),
            Evidence("after one more deployment", float(2 * taken), f"of {usable}", usable, SOURCE),
        ),
        fixes=(
            *(free_now(window) if full >= GONE else ()),
            *(() if beside else pooler_fixes(server, settings, window)),
        ),
        explains={"postgres.connections": idle},
        impact=min(1.0, max(0.0, (full - 0.5) * 2)) * idle if live else 0.0,
        kind=Kind.LIVE if live else Kind.RISK,
    )  # fmt: skip
