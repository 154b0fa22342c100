"""HAProxy's resources: requests at the backends, sessions of frontends and of the process."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

from scaledoctor.sdk import Reach, Step, Use, Window, resource
from scaledoctor.sources.haproxy import Backend, HaproxyInfo, HaproxyNow, HaproxyStats
from scaledoctor.sources.host import Processes
from scaledoctor.sources.pgbouncer import PoolerPools
from scaledoctor.sources.postgres import Activity
from scaledoctor_checks.balancing._haproxy import Load, busiest, loads
from scaledoctor_checks.host._groups import runnable

ROWS = 100
"""Backends and frontends in the table, the fullest first; a thousand would hide the full ones."""


@resource("haproxy.backend", step=Step.SCALE_OUT)
def backend(
    now: Window[HaproxyNow],
    stats: Window[HaproxyStats],
    pools: Window[PoolerPools] | None,
    activity: Window[Activity] | None,
    processes: Window[Processes] | None,
    reach: Reach | None,
    /,
    *,
    warn: float = 0.75,
    critical: float = 0.9,
    refused: float = 0.01,
) -> Iterator[Use]:
    """Requests at a backend's servers, of the sum of their maxconn.

    How measured: mean requests in hand of the servers that can take more; waiting are those in
    the queues of the backend and its servers. Without maxconn on every server there is no limit:
    what the page shows as a backend's limit is its fullconn, which limits nothing. Errors are
    requests that HAProxy answered with 503 itself, from ``refused`` of them on. What waits
    further down is measured in the same window: clients that wait for a pool of PgBouncer,
    sessions blocked by locks, and where HAProxy runs on this machine, the service's tasks that
    wait for a core.
    Thresholds: servers are full together, and requests come in bunches, hence ``warn`` and
    ``critical`` below 1.
    """
    found = loads(now)
    idle = Load(0.0, 0.0, 0.0, 0.0)
    local = processes if reach is not None and reach.local_port is not None else None
    deeper = _deeper(sum(load.in_flight for load in found.values()), pools, activity, local)
    first = {b.name: b for b in stats.first.backends}
    uses = [
        Use(
            used=found.get(last.name, idle).usable,
            limit=float(last.limit) if last.limit else None,
            unit="requests in hand",
            warn=warn,
            critical=critical,
            waiting=found.get(last.name, idle).waiting,
            errors=_refused(first.get(last.name, last), last, refused),
            waits_for=deeper,
            subject=last.name,
        )
        for last in stats.last.backends
        if last.servers
    ]
    uses.sort(key=lambda u: (-u.errors, -u.waiting, -(u.utilization or 0.0), -u.used))
    for use in uses[:ROWS]:
        in_hand, queued = (_history(now, use.subject, part) for part in ("current", "queued"))
        yield replace(use, history=in_hand, queued=queued)


def _history(now: Window[HaproxyNow], name: str, field: str) -> tuple[float, ...]:
    return now.history(lambda s: getattr(s.backends.get(name), field, 0))


def _deeper(
    in_hand: float,
    pools: Window[PoolerPools] | None,
    activity: Window[Activity] | None,
    processes: Window[Processes] | None,
) -> Mapping[str, float]:
    """Share of the requests in hand that wait for a pool of PgBouncer, a lock, or a core."""
    waiting: dict[str, float] = defaultdict(float)
    for sample in pools or ():
        for pool in sample.pools:
            waiting[f"pgbouncer.pool:{pool.key}"] += pool.waiting / len(pools or ())
    if activity is not None:
        waiting["postgres.locks"] = activity.mean(lambda a: sum(s.blocked for s in a.sessions))
    if processes is not None:
        waiting["host.cpu"] = runnable(processes)
    return {key: min(1.0, mean / in_hand) for key, mean in waiting.items() if mean and in_hand}


def _refused(first: Backend, last: Backend, share: float) -> float:
    """Requests without a server in the window; 0 when there are few, or no rates."""
    own = (last.errors - last.server_errors) - (first.errors - first.server_errors)
    refused = min(own, last.failed_connects - first.failed_connects)
    requests = last.requests - first.requests
    return float(refused) if refused > 0 and refused >= share * requests else 0.0


@resource("haproxy.frontend", step=Step.SCALE_OUT)
def frontend(
    now: Window[HaproxyNow],
    stats: HaproxyStats,
    /,
    *,
    warn: float = 0.75,
    critical: float = 0.95,
) -> Iterator[Use]:
    """Sessions of a frontend, of its maxconn.

    How measured: the most sessions in the samples; idle keep-alive connections count. Beyond the
    limit connections wait in the kernel, where HAProxy does not see them.
    Thresholds: a frontend takes none above its limit, so that at ``critical`` newcomers wait
    already; peers warn at 80 %, we at ``warn``.
    """
    uses: list[Use] = []
    for row in stats.frontends:
        taken = [sample.sessions.get(row.name, 0) for sample in now]
        if row.limit:
            use = Use(
                used=float(max(taken)),
                limit=float(row.limit),
                unit="sessions",
                warn=warn,
                critical=critical,
                waits_for=busiest(now, sum(taken) / len(taken)),
                subject=row.name,
            )
            uses.append(use)
    uses.sort(key=lambda u: -(u.utilization or 0.0))
    for use in uses[:ROWS]:
        yield replace(use, history=_sessions(now, use.subject))


def _sessions(now: Window[HaproxyNow], name: str) -> tuple[float, ...]:
    return now.history(lambda s: s.sessions.get(name, 0))


@resource("haproxy.process", step=Step.SCALE_OUT)
def process(
    window: Window[HaproxyInfo],
    now: Window[HaproxyNow],
    /,
    *,
    warn: float = 0.75,
    critical: float = 0.95,
) -> Use | None:
    """Connections of the whole process, of the global maxconn.

    How measured: CurrConns against Maxconn, or the sessions of all frontends when they are more.
    Errors are the times that a connection reached the limit in the window, from version 2.8 on.
    Thresholds: as for a frontend, ``warn`` and ``critical``.
    """
    limit = window.last.limit
    if not limit:
        return None
    taken = [sum(sample.sessions.values()) for sample in now]
    reached = (window.last.reached or 0) - (window.first.reached or 0)
    return Use(
        used=float(min(limit, max(*taken, *(i.current or 0 for i in window)))),
        limit=float(limit),
        unit="connections",
        warn=warn,
        critical=critical,
        errors=float(max(0, reached)),
        waits_for=busiest(now, sum(taken) / len(taken)),
        history=now.history(lambda s: sum(s.sessions.values())),
    )
