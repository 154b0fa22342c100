"""The application's own code needs more CPU than it has."""

from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Severity, Step, Window, check
from scaledoctor.sources.host import CpuTimes, HostInfo, Processes
from scaledoctor.sources.pgbouncer import PoolerConfig
from scaledoctor_checks.host._groups import SERVICE, Group, groups
from scaledoctor_checks.host._use import QUEUE, Busy, busy, capacity

SOURCE = "/proc/stat, /proc/PID/stat"
ONE_LOCK = ("python", "ruby", "node")
"""Interpreters that run one thread of code at a time: a core is all that a process can use."""


@check("host.cpu-application", step=Step.SCALE_OUT)
def cpu_application(
    info: HostInfo,
    window: Window[CpuTimes],
    processes: Window[Processes],
    pooler: PoolerConfig | None,
    /,
    *,
    full: float = 0.9,
    share: float = 0.5,
    one_core: float = 0.95,
) -> Iterator[Finding]:
    """The application's own code needs more CPU than it can get here.

    Why: the database waits for the application, not the other way round; a larger database or
    pool changes nothing.

    How measured: processes that hold connections to the database, or talk to such processes,
    use ``share`` of the cores while all are ``full`` and tasks queue; or one that is itself
    connected uses ``one_core`` of a single core, all that one thread can have, while other cores
    are idle. PgBouncer is left to pgbouncer.one-core where its console is looked at.

    Fix: one hot core: more processes. All cores: more instances behind the balancer, on other
    machines; profile the hottest route.

    When to ignore: a load generator on the same machine.

    References: proc(5); "The USE Method", Brendan Gregg.
    """
    used, usable = busy(window), capacity(info)
    if used is None:
        return
    for group in groups(processes):
        if not group.client or group.label == "postgres":
            continue
        if pooler is not None and group.label == "pgbouncer":
            continue  # pgbouncer.one-core names it, with what PgBouncer itself knows
        if used.full(info.cores, full):
            if group.cores >= share * usable:
                yield _all_cores(group, used, usable, share)
        elif group.direct and used.cores < full * usable and _hot(group) >= one_core:
            yield _one_core(group, used, usable, one_core)


def _hot(group: Group) -> float:
    """Cores of the busiest thread; the process's where only one thread runs at a time."""
    single = group.label.startswith(ONE_LOCK) and group.one <= 1.1
    return max(group.thread, group.one if single else 0.0)


def _all_cores(group: Group, used: Busy, usable: float, share: float) -> Finding:
    return Finding(
        subject=group.label,
        summary=(
            f"{group.label} ({len(group.pids)} processes) of the application takes "
            f"{group.cores:.1f} of {usable:.0f} cores; {used.running:.0f} tasks compete for them"
        ),
        severity=Severity.HIGH,
        evidence=(
            Evidence("cores it takes", group.cores, f"of {usable:.0f}", share * usable, SOURCE),
            Evidence("its busiest process", group.one, "cores", source=SOURCE),
            Evidence("runnable tasks, mean", used.running, "tasks", QUEUE * usable, SOURCE),
        ),
        fixes=(
            Fix(
                "Run more instances on other machines, behind the load balancer",
                (
                    f"# {group.cores:.1f} cores are used here; two machines of {usable:.0f} cores",
                    f"# would each run at {group.cores / usable / 2:.0%}",
                ),
                language="text",
                risk="more instances open more database connections: size their pools together",
                verify="scaledoctor scan on both machines: host.cpu below 80 %",
                undo="take the instance out of the balancer",
            ),
        ),
        explains={"host.cpu": min(1.0, group.cores / max(used.cores, group.cores))},
        impact=min(1.0, group.cores / usable),
    )


def _one_core(group: Group, used: Busy, usable: float, one_core: float) -> Finding:
    """The impact is an estimate: how many requests wait behind the core is not seen here."""
    known = group.label.startswith(SERVICE)
    return Finding(
        subject=f"{group.label}, one core",
        summary=(
            f"{group.label} (pid {group.pids[0]}) uses {_hot(group):.2f} of the one core that its "
            f"busiest thread can have, while {usable - used.cores:.1f} of {usable:.0f} are idle"
        ),
        severity=Severity.MEDIUM,
        confidence=Confidence.MEDIUM,
        evidence=(
            Evidence("its busiest thread", _hot(group), "cores", one_core, "/proc/PID/task"),
            Evidence("busy cores in all", used.cores, f"of {usable:.0f}", source="/proc/stat"),
        ),
        fixes=(
            Fix(
                "Run more processes of it on this machine; a larger machine would not help",
                (
                    f"# {group.label}: from {len(group.pids)} busy process(es) to {usable:.0f}",
                    "# its own setting for threads or processes (so_reuseport, nbthread)"
                    if known
                    else "# gunicorn --workers, uvicorn --workers, puma -w, node cluster",
                ),
                language="text",
                risk="more processes open more database connections: size their pools together",
                verify="top: no single process stays at 100 %",
                undo="the old number of processes",
            ),
        ),
        impact=0.2,
    )
