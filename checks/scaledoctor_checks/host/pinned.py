"""The service is held to a few cores while others are idle."""

from collections.abc import Iterator
from dataclasses import dataclass

from scaledoctor.sdk import Evidence, Finding, Fix, Severity, Step, Window, check
from scaledoctor.sources.host import CpuTimes, HostInfo, Process, Processes
from scaledoctor_checks.host._groups import members
from scaledoctor_checks.host._use import busy, capacity

SOURCE = "/proc/PID/schedstat"


@dataclass(frozen=True, slots=True)
class _Crowd:
    """Processes of one label: seconds that they ran and waited, the fewest cores of one, pids."""

    label: str
    ran: float
    waited: float
    allowed: int | None
    pids: tuple[int, ...]

    @property
    def starved(self) -> float:
        """Share of the runnable time without a core."""
        return self.waited / (self.ran + self.waited) if self.ran + self.waited else 0.0


@check("host.cpu-pinned", step=Step.SCALE_OUT)
def cpu_pinned(
    info: HostInfo,
    window: Window[CpuTimes],
    processes: Window[Processes],
    /,
    *,
    waits: float = 0.3,
    idle: float = 0.5,
    least: float = 0.05,
) -> Iterator[Finding]:
    """The service is held to a few cores and waits for them while others are idle.

    Why: a cpuset or taskset that was right for another load keeps the scheduler from the cores
    that are free; the machine looks half idle and the service is slow.

    How measured: processes of one label of the service that ran for ``least`` of a core waited for
    a core in ``waits`` of their runnable time (schedstat: starved, not blocked), are allowed on
    fewer cores than we are, and ``idle`` of a core or more was free. Our own choice.

    Fix: allow all cores, or more of them.

    When to ignore: cores that are kept free on purpose.

    References: sched_setaffinity(2); cpuset(7); kernel documentation, "Scheduler Statistics".
    """
    used, usable = busy(window), capacity(info)
    if used is None or usable - used.cores < idle:
        return
    for crowd in _crowds(processes):
        pinned = crowd.allowed is not None and crowd.allowed < info.cores
        if pinned and crowd.starved >= waits and crowd.ran >= least * processes.seconds:
            yield _finding(crowd, processes.seconds, usable - used.cores, info.cores, waits)


def _crowds(window: Window[Processes]) -> Iterator[_Crowd]:
    service = members(window.last)
    before = {p.pid: p for p in window.first.processes}
    found: dict[str, list[Process]] = {}
    for process in window.last.processes:
        if process.pid in service and None not in (process.ran, process.waited):
            found.setdefault(process.label, []).append(process)
    for label, several in found.items():
        grown = [(_since(p.ran, before.get(p.pid), "ran"), p) for p in several]
        allowed = [p.allowed for p in several if p.allowed is not None]
        yield _Crowd(
            label=label,
            ran=sum(ran for ran, _ in grown),
            waited=sum(_since(p.waited, before.get(p.pid), "waited") for p in several),
            allowed=min(allowed, default=None),
            pids=tuple(p.pid for ran, p in grown if ran),
        )


def _since(now: float | None, first: Process | None, what: str) -> float:
    then: float | None = getattr(first, what) if first else 0.0
    return max(0.0, (now or 0.0) - (then or 0.0))


def _finding(crowd: _Crowd, seconds: float, free: float, cores: int, waits: float) -> Finding:
    pids = crowd.pids[:20]
    return Finding(
        subject=f"{crowd.label}, affinity",
        summary=(
            f"{crowd.label} may run on {crowd.allowed} of {cores} cores and waits for them in "
            f"{crowd.starved:.0%} of its time, while {free:.1f} cores are idle"
        ),
        severity=Severity.HIGH,
        evidence=(
            Evidence("waits for a core", crowd.starved, "share", waits, SOURCE),
            Evidence("it runs", crowd.ran / seconds, "cores", source=SOURCE),
            Evidence("allowed", float(crowd.allowed or 0), f"of {cores} cores",
                     source="sched_getaffinity"),
            Evidence("idle", free, "cores", source="/proc/stat"),
        ),
        fixes=(
            Fix(
                "Allow all cores now",
                tuple(f"taskset -apc 0-{cores - 1} {pid}" for pid in pids),
                language="shell",
                risk="what the other cores are kept for shares them from now on",
                verify=f"taskset -pc {pids[0]}" if pids else "scaledoctor scan again",
                undo=f"taskset -apc CORES PID, with the list that taskset -pc {pids[0]} shows now"
                if pids
                else "the old setting",
            ),
            Fix(
                "For good, where it was set",
                (
                    "# systemd: CPUAffinity= or AllowedCPUs= of the unit; docker: --cpuset-cpus;",
                    "# Kubernetes: the static CPU manager gives as many cores as the limit says",
                ),
                language="text",
                risk="a restart of the service",
                verify="scaledoctor scan again",
                undo="the old setting",
            ),
        ),
        impact=crowd.starved,
    )  # fmt: skip
