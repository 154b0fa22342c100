"""Disks: devices that requests queue for."""

from collections.abc import Iterator
from dataclasses import dataclass

from scaledoctor.sdk import Evidence, Finding, Fix, Severity, Step, Use, Window, check, resource
from scaledoctor.sources.host import CpuTimes, Disks
from scaledoctor_checks.host._use import stalled

SOURCE = "/proc/diskstats"


@dataclass(frozen=True, slots=True)
class Load:
    """One device over the window: share busy, seconds per request, mean queue, requests/s.

    ``flushing`` is the share of the time in which it flushed its cache, for fsync.
    """

    name: str
    busy: float
    wait: float
    queue: float
    rate: float
    flushing: float = 0.0

    def saturated(self, wait: float, queue: float, stall: float) -> bool:
        """Slow with a queue; or a long queue while tasks stall for I/O.

        A device that serves many at once is busy all the time without being saturated.
        """
        slow = self.wait >= wait and self.queue >= queue
        return slow or (self.busy >= 0.9 and self.queue >= 2 * queue and stall >= 0.2)


def loads(window: Window[Disks]) -> Iterator[Load]:
    """What each device did in the window; nothing without one."""
    if window.seconds <= 0:
        return
    before = {d.name: d for d in window.first.devices}
    for now in window.last.devices:
        first = before.get(now.name)
        if first is None or now.requests < first.requests:
            continue
        requests = now.requests - first.requests
        yield Load(
            name=now.name,
            busy=min(1.0, max(0.0, now.busy - first.busy) / window.seconds),
            wait=max(0.0, now.waited - first.waited) / requests if requests else 0.0,
            queue=max(0.0, now.queued - first.queued) / window.seconds,
            rate=requests / window.seconds,
            flushing=min(1.0, max(0.0, now.flushing - first.flushing) / window.seconds),
        )


@resource("host.disk", step=Step.SCALE_OUT)
def disk(
    window: Window[Disks],
    cpu: Window[CpuTimes] | None,
    /,
    *,
    warn: float = 0.8,
    critical: float = 0.9,
    wait: float = 0.02,
    queue: float = 2.0,
) -> Iterator[Use]:
    """Time in which each device was busy; saturated when its requests queue too.

    How measured: /proc/diskstats over the window. ``wait`` seconds per request and ``queue``
    requests in flight on average are needed too, or twice the queue while tasks stall for I/O
    20 % of the time (PSI): 100 % busy alone is no limit on a device that serves many at once.

    Thresholds: busy from ``warn`` of the time, saturated from ``critical`` with such a queue. 20 ms
    is slow for any flash device; awesome-prometheus-alerts warns at 100 ms.
    """
    stall = stalled(cpu, lambda c: c.io_pressure) or 0.0
    for load in loads(window):
        yield Use(
            used=load.busy,
            limit=1.0,
            unit="of the time busy",
            warn=warn,
            critical=critical,
            waiting=load.queue,
            contended=load.saturated(wait, queue, stall),
            subject=load.name,
            detail=(
                f"busy {load.busy:.0%} of the time, {load.wait * 1000:.1f} ms per request, "
                f"{load.queue:.1f} in flight"
            ),
        )


@check("host.disk-saturated", step=Step.SCALE_OUT)
def disk_saturated(
    window: Window[Disks],
    cpu: Window[CpuTimes] | None,
    /,
    *,
    wait: float = 0.02,
    queue: float = 2.0,
) -> Iterator[Finding]:
    """Requests queue for a disk.

    Why: a commit waits for the log to reach the disk, a read for its page.

    How measured: as the resource host.disk: at least ``wait`` seconds per request with ``queue``
    in flight, or twice that queue on a busy device while tasks stall for I/O (PSI). 20 ms is slow
    for any flash device; awesome-prometheus-alerts warns at 100 ms.

    Fix: find what reads and writes; more shared_buffers for reads, checkpoints spread for writes;
    then a faster volume.

    When to ignore: a backup in its hours.

    References: kernel documentation, "I/O statistics fields"; PostgreSQL manual, "WAL
    Configuration".
    """
    stall = stalled(cpu, lambda c: c.io_pressure) or 0.0
    for load in loads(window):
        if not load.saturated(wait, queue, stall):
            continue
        yield Finding(
            subject=load.name,
            summary=(
                f"{load.name} takes {load.wait * 1000:.0f} ms per request with {load.queue:.1f} "
                f"in flight at {load.rate:.0f} requests per second"
            ),
            severity=Severity.HIGH if stall >= 0.2 else Severity.MEDIUM,
            evidence=(
                Evidence("time per request", load.wait * 1000, "ms", wait * 1000, SOURCE),
                Evidence("requests in flight", load.queue, "requests", queue, SOURCE),
                Evidence("busy", load.busy, "share", source=SOURCE),
                Evidence("tasks stalled for I/O", stall, "share", 0.2, "/proc/pressure/io"),
            ),
            fixes=(_fix(),),
            explains={f"host.disk:{load.name}": 1.0},
            impact=max(stall, 0.1),
        )


def _fix() -> Fix:
    return Fix(
        "See who reads and writes",
        (
            "pidstat -d 1 5  # package sysstat",
            "psql -c 'SELECT * FROM pg_stat_io ORDER BY reads DESC NULLS LAST LIMIT 5'  # from 16",
        ),
        language="shell",
        risk="none",
        verify="iostat -x 1 5: await below 20 ms",
        undo="none needed",
    )
