"""A program that is no part of the service takes its CPU."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import median

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Severity,
    Step,
    Unavailable,
    Window,
    check,
)
from scaledoctor.sources.host import Cgroups, CpuTimes, HostInfo, Processes
from scaledoctor.sources.postgres.roundtrip import RoundTrip
from scaledoctor_checks.host._groups import Group, groups, runnable, starved
from scaledoctor_checks.host._use import QUEUE, Busy, busy, capacity
from scaledoctor_checks.host.quota import throttling

SOURCE = "/proc/stat, /proc/PID/stat"


@check("host.cpu-other-process", step=Step.SCALE_OUT)
def cpu_other_process(
    info: HostInfo,
    window: Window[CpuTimes],
    processes: Window[Processes],
    quotas: Window[Cgroups] | None,
    trips: Window[RoundTrip] | None,
    /,
    *,
    full: float = 0.9,
    share: float = 0.3,
    waits: float = 0.3,
) -> Iterator[Finding]:
    """Another program takes the CPU that the service needs.

    Why: no view of the database shows it; every statement is slower by the time it waits for a
    core.

    How measured: either all cores are ``full`` with tasks queueing, or the service's processes
    wait for a core in ``waits`` of their runnable time (schedstat) and no CPU quota stops them.
    Named are processes of one label that use ``share`` of the cores and are neither the database,
    nor connected to it or to a pooler, nor to a program that is; what runs outside of our
    container is not seen. Where nothing of the service is at work here, nobody is seen to suffer:
    medium, and not sure. What a question to PostgreSQL
    loses beyond its own time is shown beside it. Thresholds: all cores at 90 %
    from node-mixin; a third of the cores or of the time is our own choice, no peer alerts on it.

    Fix: stop that program for now; then lower its priority, or give it a machine or hours of its
    own.

    When to ignore: a batch job that the service is meant to share the machine with.

    References: proc(5); kernel documentation, "Scheduler Statistics"; "The USE Method", Brendan
    Gregg.
    """
    used = busy(window)
    if used is None:
        return
    lost = starved(processes)
    stopped = quotas is not None and any(part >= 0.25 for _, part, _ in throttling(quotas))
    hungry = (lost or 0.0) >= waits and not stopped
    if not used.full(info.cores, full) and not hungry:
        return
    strangers = [g for g in groups(processes) if not g.client and g.cores >= share * capacity(info)]
    if not strangers and processes.last.left_out:
        many = f"{processes.last.left_out} processes were left out of our look"
        raise Unavailable(many, "top -b -n 1 | head -20")
    hidden = used.cores - sum(g.cores for g in groups(processes))
    if not strangers and info.container and hidden >= share * capacity(info):
        many = (
            f"{hidden:.1f} busy cores are of processes outside of this container, or gone already"
        )
        raise Unavailable(many, "run scaledoctor on the host itself")
    for group in strangers:
        harm = _Harm(lost, runnable(processes))
        found = _stranger(group, used, capacity(info), share, harm)
        yield replace(found, evidence=(*found.evidence, *_trip(trips)))


@dataclass(frozen=True, slots=True)
class _Harm:
    """The service's wait share, None below 5 % of a core; its tasks that wait, on average."""

    lost: float | None
    waiting: float

    @property
    def seen(self) -> bool:
        """A light service, too, waits for a core a twentieth of the time."""
        return self.lost is not None or self.waiting >= 0.05


def _stranger(group: Group, used: Busy, usable: float, share: float, harm: _Harm) -> Finding:
    started = f", started by {group.parent}" if group.parent else ""
    many = len(group.pids) > 1
    who = f"{len(group.pids)} processes" if many else f"pid {group.pids[0]}"
    if not harm.seen:
        confidence = Confidence.LOW
    else:
        confidence = Confidence.HIGH if group.seen else Confidence.MEDIUM
    severity = Severity.CRITICAL if group.cores >= 0.6 * usable else Severity.HIGH
    pids = " ".join(map(str, group.pids[:20]))
    return Finding(
        subject=group.label,
        summary=(
            f"{group.label} ({who}{started}), which is no part of the service, takes "
            f"{group.cores:.1f} of {usable:.0f} cores; {used.running:.0f} tasks compete for them"
        ),
        severity=severity if harm.seen else Severity.MEDIUM,
        confidence=confidence,
        evidence=_evidence(group, used, usable, share, harm, pids),
        fixes=_fixes(group, pids),
        explains={"host.cpu": min(1.0, group.cores / max(used.cores, group.cores))},
        impact=min(
            1.0, group.cores / usable * max(min(1.0, used.cores / usable), harm.lost or 0.0)
        ),
    )


def _trip(trips: Window[RoundTrip] | None) -> Iterator[Evidence]:
    """Calm statements and late answers: the database waits for a core, not for itself."""
    if trips:
        server = median(trip.server for trip in trips)
        lost = median(trip.lost for trip in trips)
        yield Evidence("a question's time in PostgreSQL", server * 1000, "ms", source="probe")
        yield Evidence("and beyond it, without our own", lost * 1000, "ms", source="probe")


def _evidence(
    group: Group, used: Busy, usable: float, share: float, harm: _Harm, pids: str
) -> tuple[Evidence, ...]:
    of = f"of {usable:.0f}"
    return (
        Evidence("cores it takes", group.cores, of, share * usable, SOURCE),
        Evidence("busy cores in all", used.cores, of, source=SOURCE),
        Evidence("runnable tasks, mean", used.running, "tasks", QUEUE * usable, "/proc/stat"),
        *_starving(harm),
        Evidence("pids", pids, source=SOURCE),
    )


def _starving(harm: _Harm) -> Iterator[Evidence]:
    source = "/proc/PID/schedstat"
    if harm.lost is not None:
        yield Evidence("service waits for a core", harm.lost, "share", 0.3, source)
    elif harm.seen:
        yield Evidence("of the service wait for a core, mean", harm.waiting, "tasks", 0.05, source)


def _fixes(group: Group, pids: str) -> tuple[Fix, ...]:
    verify = "scaledoctor scan again: host.cpu is no longer saturated"
    unit = f'"$(ps -o unit= -p {group.pids[0]})"'
    return (
        Fix(
            f"Stop {group.label} for now: it keeps its state and goes on later",
            (f"kill -STOP {pids}",),
            language="shell",
            risk="what depends on it waits; whoever started it may start another",
            verify=verify,
            undo=f"kill -CONT {pids}",
        ),
        Fix(
            "Let it run on with what the service leaves over",
            (f"renice -n 19 -p {pids}",),
            language="shell",
            risk="it takes longer; across control groups the priority does not count",
            verify="its share in top falls while the service is busy",
            undo=f"renice -n 0 -p {pids}",
        ),
        Fix(
            "If it is a systemd service: a smaller weight for good",
            (f"systemctl set-property {unit} CPUWeight=10",),
            language="shell",
            risk="it takes longer while others are busy",
            verify=f"systemctl show -p CPUWeight {unit}",
            undo=f"systemctl set-property {unit} CPUWeight=100",
        ),
    )
