"""Client connections against max_client_conn, and who has them."""

from collections.abc import Iterator

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Kind,
    Severity,
    Step,
    Use,
    Window,
    check,
    resource,
)
from scaledoctor.sources.pgbouncer import (
    PoolerClients,
    PoolerConfig,
    PoolerLists,
    PoolerLog,
    PoolerPools,
    PoolerProcess,
)
from scaledoctor_checks.pooling._application import Application, applications, smaller_pool
from scaledoctor_checks.pooling._words import ini, plural

SOURCE = "SHOW LISTS, SHOW CONFIG"


@resource("pgbouncer.clients", step=Step.POOL)
def clients(
    window: Window[PoolerLists],
    config: PoolerConfig,
    pools: Window[PoolerPools] | None,
    log: Window[PoolerLog] | None,
    /,
    *,
    warn: float = 0.8,
    critical: float = 0.95,
) -> Use:
    """Client connections against max_client_conn.

    How measured: used_clients of SHOW LISTS less our own, the most seen in the window. Refusals
    are counted in PgBouncer's log, where it can be read; no SHOW counts them.
    Thresholds: busy from ``warn``, saturated from ``critical``: a deployment holds the clients of
    two versions for a moment.
    """
    used, refused = _used(window), _refused(log)
    return Use(
        used=used,
        limit=config.number("max_client_conn", 100),
        unit="client connections",
        warn=warn,
        critical=critical,
        errors=float(refused),
        contended=refused > 0 or used >= config.number("max_client_conn", 100),
        waits_for=_waits(pools, used),
        history=window.history(lambda lists: max(0, lists.clients - 1)),
    )


def _used(window: Window[PoolerLists]) -> float:
    return max(0.0, window.peak(lambda lists: lists.clients - 1))


def _refused(log: Window[PoolerLog] | None) -> int:
    """Clients refused within the window."""
    return log.last.count("refused") if log and len(log) > 1 else 0


def _waits(pools: Window[PoolerPools] | None, used: float) -> dict[str, float]:
    """The pool whose queue holds most of the clients, with its share of them."""
    if pools is None or not used:
        return {}
    queues: dict[str, float] = {}
    for pool in (p for sample in pools for p in sample.pools):
        queues[pool.key] = queues.get(pool.key, 0.0) + pool.waiting / len(pools)
    key, waiting = max(queues.items(), key=lambda kv: (kv[1], kv[0]), default=("", 0.0))
    return {f"pgbouncer.pool:{key}": min(1.0, waiting / used)} if waiting else {}


@check("pgbouncer.client-limit", step=Step.POOL)
def client_limit(
    window: Window[PoolerLists],
    config: PoolerConfig,
    groups: Window[PoolerClients] | None,
    pools: Window[PoolerPools] | None,
    log: Window[PoolerLog] | None,
    process: PoolerProcess | None,
    /,
    *,
    near: float = 0.8,
    nearer: float = 0.95,
    share: float = 0.5,
) -> Iterator[Finding]:
    """PgBouncer refuses clients, or soon will: max_client_conn is reached.

    Why: the next client gets "no more connections allowed (max_client_conn)", however little the
    database has to do.
    How measured: used_clients of SHOW LISTS less our own against max_client_conn. A live finding
    at the limit, or when the log counts refusals; a risk from ``near`` of it, high from
    ``nearer``. An application with ``share`` of the clients is named, with how many of them had or
    wanted a server when we looked.
    Fix: smaller pools in the application when its clients idle; else a higher limit, with the
    open files that it needs.
    When to ignore: a limit that is meant to refuse.
    References: PgBouncer manual, max_client_conn; awesome-prometheus-alerts calls any refusal
    critical.
    """
    limit, used, refused = config.number("max_client_conn", 100), _used(window), _refused(log)
    if not refused and used < near * limit:
        return
    largest = next(iter(applications(groups)), None)
    every = sum(a.clients for a in applications(groups)) + (groups.last.others if groups else 0)
    named = largest if largest and largest.clients >= share * every else None
    live = bool(refused) or used >= limit
    yield Finding(
        subject=named.label if named else "max_client_conn",
        summary=_summary(named, used, limit, refused),
        severity=Severity.CRITICAL if live
        else Severity.HIGH if used >= nearer * limit else Severity.MEDIUM,
        confidence=Confidence.HIGH if refused or not live else Confidence.MEDIUM,
        evidence=(
            Evidence("client connections", used, f"of {limit:.0f}", near * limit, SOURCE),
            *((Evidence("refused in the window", float(refused), "clients", 0, "PgBouncer's log"),)
              if log and len(log) > 1 else ()),
            *((Evidence(f"of {largest.label}", float(largest.clients), "clients",
                        source="SHOW CLIENTS"),
               Evidence("of those with or waiting for a server", float(largest.busy), "clients",
                        source="SHOW CLIENTS at both edges")) if largest else ()),
        ),
        fixes=tuple(_fixes(named, limit, config, process, refused=refused > 0)),
        explains={"pgbouncer.clients": 1.0},
        waits_for=_waits(pools, used),
        impact=1.0 if live else 0.0,
        kind=Kind.LIVE if live else Kind.RISK,
    )  # fmt: skip


def _summary(named: Application | None, used: float, limit: float, refused: int) -> str:
    # Whoever is about to be refused counts for a moment too.
    head = f"{min(used, limit):.0f} of {limit:.0f} client connections of PgBouncer are taken"
    tail = f"; {plural(refused, 'client')} refused in the window" if refused else ""
    if named is None:
        return head + tail
    of = f" by its {named.instances} instances" if named.instances > 1 else ""
    return (
        f"{head}, {named.clients} of them by {named.label}{of}, of which "
        f"{named.busy} had or wanted a server{tail}"
    )


def _fixes(
    named: Application | None,
    limit: float,
    config: PoolerConfig,
    process: PoolerProcess | None,
    *,
    refused: bool,
) -> Iterator[Fix]:
    """Whoever is refused now is helped by a RELOAD; the application's pool takes a deployment."""
    idle = [smaller_pool(named)] if named and named.busy < named.clients / 2 else []
    room = _room(limit, config, process)
    yield from (room, *idle) if refused else (*idle, room)


def _room(limit: float, config: PoolerConfig, process: PoolerProcess | None) -> Fix:
    more = int(limit * 2)
    files = more + 1000
    short = process is None or (process.files is not None and process.files < files)
    first = f"; first: systemctl edit pgbouncer: [Service] LimitNOFILE={files}, restart"
    return ini(
        f"Let PgBouncer take {more} clients",
        "pgbouncer",
        (*((first,) if short else ()), f"max_client_conn = {more}"),
        config,
        risk="about 2 kB and a file descriptor for each; a leak only takes longer to fill it",
        verify="SHOW CONFIG; and the line 'kernel file descriptor limit' in PgBouncer's log",
        undo=f"max_client_conn = {limit:.0f}, then RELOAD;",
    )
