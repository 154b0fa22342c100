"""PgBouncer has one thread: one core is all that a process of it can use."""

from collections.abc import Iterator

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Reach,
    Severity,
    Step,
    Use,
    Window,
    check,
    resource,
)
from scaledoctor.sources.host import Processes
from scaledoctor.sources.pgbouncer import PoolerConfig, PoolerPools
from scaledoctor_checks.pooling._words import ini

SOURCE = "/proc/PID/stat over the window"

WARN = 0.8
"""Of one core; below it the process is not worth a line."""


@resource("pgbouncer.cpu", step=Step.POOL, on="pgbouncer")
def cpu(
    reach: Reach,
    processes: Window[Processes] | None,
    /,
    *,
    warn: float = WARN,
    critical: float = 0.95,
) -> Use | None:
    """PgBouncer's busiest process against the one core that it can use.

    How measured: CPU time of the process that listens on the console's port, where that is this
    machine. Only told when it comes near.
    Thresholds: busy from ``warn`` of a core, saturated from ``critical``.
    """
    used = _hottest(reach, processes)
    if used is None or used < warn:
        return None
    return Use(used=used, limit=1.0, unit="cores", warn=warn, critical=critical)


def _hottest(reach: Reach, window: Window[Processes] | None) -> float | None:
    """Cores of the busiest PgBouncer on the console's port; None when it is not seen."""
    if window is None or window.seconds <= 0 or reach.local_port is None:
        return None
    before = {p.pid: p.cpu for p in window.first.processes}
    # Descriptors of other users are hidden: then a PgBouncer counts by its name.
    mine = [
        p
        for p in window.last.processes
        if p.label == "pgbouncer" and (p.serves is None or reach.local_port in p.serves)
    ]
    used = [(p.cpu - before.get(p.pid, p.cpu)) / window.seconds for p in mine]
    return max(used, default=None)


@check("pgbouncer.one-core", step=Step.POOL, on="pgbouncer")
def one_core(
    reach: Reach,
    processes: Window[Processes] | None,
    config: PoolerConfig | None,
    pools: Window[PoolerPools] | None,
    /,
    *,
    share: float = 0.95,
) -> Iterator[Finding]:
    """PgBouncer's only thread uses a whole core, and everything queues behind it.

    Why: each packet of each client goes through that thread; more servers, more cores or a larger
    pool change nothing.
    How measured: the process that listens on the console's port, on this machine, takes ``share``
    of one core over the window.
    Fix: several processes on one port (so_reuseport), with peering from 1.19 on, so that cancel
    requests find the right one. Before that: less work for it, such as TLS and many small queries.
    When to ignore: a load test of PgBouncer itself.
    References: PgBouncer manual, so_reuseport, [peers].
    """
    used = _hottest(reach, processes)
    if used is None or used < share:
        return
    clients = pools.mean(lambda s: sum(p.clients for p in s.pools)) if pools else 0.0
    yield Finding(
        subject="pgbouncer",
        summary=f"PgBouncer's one thread uses {used:.2f} of the one core that it can have",
        severity=Severity.HIGH,
        confidence=Confidence.HIGH,
        evidence=(
            Evidence("cores of its process", used, "cores", share, SOURCE),
            Evidence("clients, mean", clients, "clients", source="SHOW POOLS"),
        ),
        fixes=tuple(_fixes(config)),
        explains={"pgbouncer.cpu": 1.0},
        impact=0.5,
    )


def _fixes(config: PoolerConfig | None) -> Iterator[Fix]:
    peering = config is not None and config.version >= (1, 19, 0)
    own = ("peer_id = 1", "unix_socket_dir = /var/run/postgresql/pgb1")
    undo = "take the lines out, stop the second process, restart the first"
    yield ini(
        "Run one process per core on the same port",
        "pgbouncer",
        (
            "; the same file for each process but for peer_id and unix_socket_dir (2, .../pgb2);",
            "; divide pool sizes by the number of processes",
            "so_reuseport = 1",
            *(own if peering else ("; before 1.19 cancel requests go astray: upgrade first",)),
        ),
        config,
        risk="each process has pools of its own: sizes add up in PostgreSQL",
        verify="top: no pgbouncer stays at 100 %",
        undo=undo,
        restart=True,
    )
    if peering:
        yield ini(
            "Let the processes hand cancel requests to each other",
            "peers",
            ("1 = host=/var/run/postgresql/pgb1", "2 = host=/var/run/postgresql/pgb2"),
            config,
            risk="none without the lines above",
            verify="SHOW PEERS; on the console of each",
            undo=undo,
            restart=True,
        )
