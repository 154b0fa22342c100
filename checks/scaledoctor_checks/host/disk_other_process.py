"""A program that is no part of the service takes its disk."""

from collections.abc import Iterator
from dataclasses import dataclass

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
from scaledoctor.sources.host import CpuTimes, Disks, Processes, ProcessIo
from scaledoctor_checks.host._groups import members
from scaledoctor_checks.host._use import stalled
from scaledoctor_checks.host.disk import Load, loads

MIB = 2.0**20
SOURCE = "/proc/PID/io"


@dataclass(frozen=True, slots=True)
class _Writer:
    """Processes of one label: bytes per second, its share of all that was seen, its pids."""

    label: str
    rate: float
    share: float
    pids: tuple[int, ...]


@check("host.disk-other-process", step=Step.SCALE_OUT)
def disk_other_process(
    window: Window[Disks],
    traffic: Window[ProcessIo],
    processes: Processes,
    cpu: Window[CpuTimes] | None,
    /,
    *,
    share: float = 0.5,
    wait: float = 0.02,
    queue: float = 2.0,
    flushing: float = 0.5,
) -> Iterator[Finding]:
    """Another program takes the disk that the service needs.

    Why: a commit waits until the disk has flushed; a backup, a log or a loop of fsync beside it
    makes every commit slower, and no view of the database names it.

    How measured: requests queue for the device as in host.disk-saturated (``wait`` seconds each
    with ``queue`` in flight), or it spends ``flushing`` of the time with flushes; and programs of
    one label that are no part of the service read and wrote ``share`` of the bytes, by
    /proc/PID/io. Our own choice: no peer tells whose the disk is.

    Fix: give it the idle class of the scheduler, another disk, or hours of its own.

    When to ignore: a backup in its hours.

    References: proc(5), /proc/PID/io; ionice(1); kernel documentation, "I/O statistics fields".
    """
    stall = stalled(cpu, lambda c: c.io_pressure) or 0.0
    taken = [d for d in loads(window) if d.saturated(wait, queue, stall) or d.flushing >= flushing]
    if not taken:
        return
    if traffic.last.hidden > len(traffic.last.processes):
        raise Unavailable(
            f"{traffic.last.hidden} processes' input and output are not ours to see",
            "run as root or as the service's user",
        )
    for writer in _strangers(traffic, processes):
        if writer.share >= share:
            yield _finding(writer, max(taken, key=lambda d: d.queue), share, stall)


def _strangers(traffic: Window[ProcessIo], processes: Processes) -> Iterator[_Writer]:
    service = members(processes)
    before = {p.pid: p.read + p.written for p in traffic.first.processes}
    moved: dict[str, dict[int, int]] = {}
    for process in traffic.last.processes:
        grown = process.read + process.written - before.get(process.pid, 0)
        label = "" if process.pid in service else process.label
        moved.setdefault(label, {})[process.pid] = max(0, grown)
    total = sum(sum(several.values()) for several in moved.values())
    for label, several in moved.items():
        if label and total and traffic.seconds > 0:
            pids = tuple(pid for pid, grown in several.items() if grown)
            rate = sum(several.values()) / traffic.seconds
            yield _Writer(label, rate, sum(several.values()) / total, pids)


def _finding(writer: _Writer, disk: Load, share: float, stall: float) -> Finding:
    pids = " ".join(map(str, writer.pids[:20]))
    return Finding(
        subject=writer.label,
        summary=(
            f"{writer.label} (pid {pids}), which is no part of the service, moves "
            f"{writer.rate / MIB:.1f} MiB/s, {writer.share:.0%} of all, while {disk.name} takes "
            f"{disk.wait * 1000:.0f} ms per request"
        ),
        severity=Severity.HIGH if stall >= 0.2 else Severity.MEDIUM,
        confidence=Confidence.MEDIUM,
        evidence=(
            Evidence("share of the bytes", writer.share, "share", share, SOURCE),
            Evidence("time per request", disk.wait * 1000, "ms", source="/proc/diskstats"),
            Evidence("requests in flight", disk.queue, "requests", source="/proc/diskstats"),
            Evidence("time spent with flushes", disk.flushing, "share", source="/proc/diskstats"),
            Evidence("tasks stalled for I/O", stall, "share", 0.2, "/proc/pressure/io"),
        ),
        fixes=(
            Fix(
                "Let it use the disk only when nobody else does",
                (f"ionice -c 3 -p {pids}",),
                language="shell",
                risk="it takes longer; only the scheduler bfq knows classes",
                verify="iostat -x 1 5: await below 20 ms",
                undo=f"ionice -c 2 -n 4 -p {pids}",
            ),
            Fix(
                "Stop it for now: it keeps its state and goes on later",
                (f"kill -STOP {pids}",),
                language="shell",
                risk="what depends on it waits",
                verify="scaledoctor scan again: host.disk is no longer saturated",
                undo=f"kill -CONT {pids}",
            ),
        ),
        explains={f"host.disk:{disk.name}": writer.share},
        impact=writer.share * max(stall, 0.1),
    )
