"""Threads that run at once, against the cores there are."""

from collections.abc import Iterator

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Severity,
    Step,
    Unavailable,
    Use,
    Window,
    check,
    resource,
)
from scaledoctor.sources.host import HostInfo
from scaledoctor.sources.mysql import MysqlLocks, MysqlServer, MysqlThreads
from scaledoctor_checks.host._use import tells
from scaledoctor_checks.mysql._threads import waiting

SOURCE = "information_schema.processlist"
ELSEWHERE = "run scaledoctor on its machine"


@resource("mysql.running", step=Step.TIGHTEN)
def running(
    server: MysqlServer,
    threads: Window[MysqlThreads],
    locks: Window[MysqlLocks],
    info: HostInfo | None,
    /,
    *,
    warn: float = 1.0,
    critical: float = 2.0,
) -> Use | None:
    """Threads in a statement that wait for no lock, against the machine's cores.

    How measured: their mean over the window; only where the server's machine is known.
    Thresholds: from ``warn`` threads per core on every core has one, from ``critical`` on they
    take turns: a thread that could run waits as long as it runs.
    """
    server.require_visible()
    if info is None or not tells(info, local=server.local):
        return None
    mean = _mean(threads, locks)
    return Use(
        used=mean,
        limit=float(info.cores),
        unit="threads on cores",
        warn=warn,
        critical=critical,
        waiting=max(0.0, mean - info.cores),
    )


def _mean(threads: Window[MysqlThreads], locks: Window[MysqlLocks]) -> float:
    found = waiting(threads, locks)
    return max(0.0, found.active - found.waiting)


@check("mysql.threads-running", step=Step.TIGHTEN)
def threads_running(
    server: MysqlServer,
    threads: Window[MysqlThreads],
    locks: Window[MysqlLocks],
    info: HostInfo | None,
    /,
    *,
    per_core: float = 2.0,
    worst: float = 8.0,
) -> Iterator[Finding]:
    """More statements run at once than the cores can carry.

    Why: they take turns on the cores and on InnoDB's latches: each takes longer, and more pile up.
    How measured: threads in a statement that wait for no lock, on the mean, from ``per_core``
    times the cores on; critical from ``worst`` times. Which statement it is, if one, is told by
    mysql.slow-statement.
    Fix: the statement that takes most of the time; smaller pools, so that the rest waits outside.
    When to ignore: a load that ends by itself and that nobody waits for.
    References: MySQL manual, Threads_running; "InnoDB thread concurrency".
    """
    server.require_visible()
    if info is None or not tells(info, local=server.local):
        raise Unavailable("how many cores the MySQL server has is not known", ELSEWHERE)
    mean = _mean(threads, locks)
    if mean < per_core * info.cores:
        return
    yield Finding(
        subject="threads running",
        summary=f"{mean:.1f} statements run at once on {info.cores} cores",
        severity=Severity.CRITICAL if mean >= worst * info.cores else Severity.HIGH,
        confidence=Confidence.MEDIUM,
        evidence=(
            Evidence("running threads, mean", mean, "threads", per_core * info.cores, SOURCE),
            Evidence("cores", float(info.cores), "", source="the host"),
        ),
        fixes=(_fewer(info.cores),),
        waits_for={"mysql.running": 1.0},
        impact=1.0 - info.cores / mean,
    )


def _fewer(cores: int) -> Fix:
    return Fix(
        "Let fewer run at once: bound the applications' pools",
        (f"# all pools together: {2 * cores} connections; the rest waits in the application",),
        "text",
        risk="requests wait in the application's pool instead",
        verify="SHOW GLOBAL STATUS LIKE 'Threads_running';",
        undo="the old pool sizes",
    )
