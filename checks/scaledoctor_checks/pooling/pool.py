"""Server connections of each pool: how many are busy, who waits, and what for."""

from collections.abc import Iterator, Mapping

from scaledoctor.sdk import Step, Use, Window, resource
from scaledoctor.sources.host import CpuTimes, HostInfo
from scaledoctor.sources.pgbouncer import (
    Pool,
    PoolerConfig,
    PoolerDatabases,
    PoolerLog,
    PoolerPools,
    PoolerServers,
    PoolerStats,
    PoolerUsers,
)
from scaledoctor.sources.postgres import Activity, Server, Settings
from scaledoctor_checks.pooling._causes import share, slots_gone
from scaledoctor_checks.pooling._inside import Inside, computing, inside, saturated
from scaledoctor_checks.pooling._load import Load, loads
from scaledoctor_checks.pooling._setup import Setup
from scaledoctor_checks.pooling._words import plural, seconds


@resource("pgbouncer.pool", step=Step.POOL)
def pool(
    window: Window[PoolerPools],
    stats: Window[PoolerStats] | None,
    config: PoolerConfig | None,
    databases: PoolerDatabases | None,
    users: PoolerUsers | None,
    servers: Window[PoolerServers] | None,
    activity: Window[Activity] | None,
    settings: Settings | None,
    server: Server | None,
    info: HostInfo | None,
    cpu: Window[CpuTimes] | None,
    log: Window[PoolerLog] | None,
    /,
    *,
    warn: float = 0.8,
    critical: float = 0.9,
) -> Iterator[Use]:
    """Server connections in use against the size of each pool, by database/user.

    How measured: SHOW POOLS twice a second; sv_active over the effective size: the user's own
    (1.23+), else the database's, else default_pool_size; the reserve counts as far as it is in
    use, and what others hold of max_db_connections or max_user_connections is taken off. What the
    servers wait for themselves is read in pg_stat_activity, by their backends' pids.
    Thresholds: busy from ``warn``, the shares at which any queue grows; saturated from
    ``critical``, and only with a queue: one waiting client on average, for a fifth of its
    transactions' time and for 50 ms each. A full pool that keeps nobody waiting is well used.
    """
    seen, full = inside(servers, databases, activity), saturated(server, info, cpu) is not None
    by_key = Window(tuple((at, {p.key: p for p in s.pools}) for at, s in window.samples))
    for load in loads(window, stats, Setup(config, databases, users)):
        stuck = load.dead or load.paused or load.limit < 1
        yield Use(
            used=load.busy,
            limit=(load.limit if load.limit >= 1 else float(load.size)) or None,
            unit="server connections",
            warn=warn,
            critical=critical,
            waiting=load.waiting,
            # No server at all is not a matter of size: whoever waits is as good as refused.
            errors=load.waiting if stuck else 0.0,
            contended=load.queues(),
            waits_for=_waits(
                load,
                seen.get(load.key),
                full=full,
                gone=slots_gone(load.key, settings, activity, log),
            ),
            subject=load.key,
            detail=_detail(load),
            history=_history(by_key, load.key, "active"),
            queued=_history(by_key, load.key, "waiting"),
        )


def _history(window: Window[dict[str, Pool]], key: str, field: str) -> tuple[float, ...]:
    return window.history(lambda pools: getattr(pools.get(key), field, 0))


def _waits(load: Load, seen: Inside | None, *, full: bool, gone: bool) -> Mapping[str, float]:
    """What the busy servers, or the ones that cannot be opened, wait for; measured shares."""
    found: dict[str, float] = {}
    if seen is not None:
        found["postgres.locks"] = share(load, seen, lambda s: s.blocked)
        if full:
            found["host.cpu"] = share(load, seen, computing)
    if gone and load.waiting and load.servers < load.size:
        found["postgres.connections"] = 1.0
    return {key: part for key, part in found.items() if part > 0}


def _detail(load: Load) -> str:
    if load.paused:
        return f"paused, {plural(load.waiting, 'client')} waiting"
    if load.dead:
        return f"no server connection, {plural(load.waiting, 'client')} waiting"
    if load.squeezed and load.limit < 1:
        return f"others hold all of {load.setting}, {plural(load.waiting, 'client')} waiting"
    of = f"{load.busy:.1f} of {load.limit:.0f} servers busy" if load.limit else ""
    busy = of or f"{load.busy:.1f} servers busy, no limit"
    if not load.waiting:
        return f"{busy}, nobody waits"
    waited = f", the longest for {seconds(load.maxwait)}" if load.maxwait else ""
    return f"{busy}, {load.waiting:.1f} clients waiting{waited}"
