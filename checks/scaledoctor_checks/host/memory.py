"""Memory: nearly gone, or so short that the machine swaps or stalls."""

from collections.abc import Iterator

from scaledoctor.sdk import (
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
from scaledoctor.sources.host import Cgroups, CpuTimes, Memory, Processes
from scaledoctor_checks.host._use import stalled

GIB = 2.0**30


@resource("host.memory", step=Step.SCALE_OUT)
def memory(
    now: Memory, groups: Cgroups | None, /, *, warn: float = 0.9, critical: float = 0.95
) -> Iterator[Use]:
    """Memory that is not available, of the machine and of limited control groups.

    How measured: MemTotal less MemAvailable; in a group the working set against its limit.

    Thresholds: busy from ``warn``, where peers warn (10 % available: Netdata,
    awesome-prometheus-alerts); saturated from ``critical``, where the kernel takes back what is in
    use.
    """
    pairs = [("", now.total - now.available, now.total)]
    pairs += [(g.path, g.used, g.limit) for g in (groups.memory if groups else ())]
    for subject, used, limit in pairs:
        yield Use(
            used=used / GIB,
            limit=limit / GIB,
            unit="GiB",
            warn=warn,
            critical=critical,
            scales=False,
            subject=subject,
        )


@check("host.memory-pressure", step=Step.SCALE_OUT)
def memory_pressure(
    window: Window[Memory],
    cpu: Window[CpuTimes] | None,
    processes: Processes | None,
    /,
    *,
    low: float = 0.1,
    very_low: float = 0.05,
    some: float = 0.1,
    full: float = 0.05,
) -> Iterator[Finding]:
    """The machine is nearly out of memory, or tasks wait for it.

    Why: below some per cent the kernel takes back pages in use, and every task waits for it;
    next it kills.

    How measured: less than ``low`` of the memory available (a risk; high below ``very_low``), or
    tasks stalled for memory in ``some`` of the window (high) or all of them in ``full``
    (critical), by PSI. Thresholds: Netdata and awesome-prometheus-alerts warn at 10 % available.

    Fix: less memory per session and fewer sessions before a larger machine.

    When to ignore: never while tasks stall.

    References: kernel documentation, "PSI - Pressure Stall Information"; proc(5).
    """
    now = window.last
    left = now.available / now.total if now.total else 1.0
    waited = stalled(cpu, lambda c: c.memory_pressure) or 0.0
    blocked = stalled(cpu, lambda c: c.memory_pressure, all_tasks=True) or 0.0
    live = waited >= some or blocked >= full
    if left >= low and not live:
        return
    high = left < very_low or live
    severity = Severity.HIGH if high else Severity.MEDIUM
    yield Finding(
        subject="memory",
        summary=f"{left:.0%} of memory is available; tasks stalled {waited:.0%} of the time",
        severity=Severity.CRITICAL if blocked >= full else severity,
        evidence=(
            Evidence("available", left, "share", low, "/proc/meminfo"),
            Evidence("some task stalled", waited, "share", some, "/proc/pressure/memory"),
            Evidence("all tasks stalled", blocked, "share", full, "/proc/pressure/memory"),
            *_largest(processes),
        ),
        fixes=(_fix(),),
        explains={"host.memory": 1.0},
        impact=waited,
        kind=Kind.LIVE if live else Kind.RISK,
    )


@check("host.swapping", step=Step.SCALE_OUT)
def swapping(
    window: Window[Memory], processes: Processes | None, /, *, pages: float = 100.0
) -> Iterator[Finding]:
    """The machine moves memory to disk and back.

    Why: a page that must come back from disk costs a thousand times a page in memory.

    How measured: more than ``pages`` pages swapped in and out per second over the window. Swap
    that is merely in use does not count. Threshold: far above the trickle of an idle machine.

    Fix: less memory per session and fewer sessions before a larger machine.

    When to ignore: zram, while CPU is free.

    References: proc(5), vmstat pswpin and pswpout; vm.swappiness.
    """
    rate = window.rate(lambda m: m.swapped_pages)
    if rate is None or rate <= pages:
        return
    faults = window.rate(lambda m: m.major_faults) or 0.0
    back = window.rate(lambda m: m.swapped_in) or 0.0
    yield Finding(
        subject="swap",
        summary=f"{rate:.0f} pages are swapped per second, {faults:.0f} faults wait for the disk",
        severity=Severity.HIGH,
        evidence=(
            Evidence("pages swapped", rate, "per second", pages, "/proc/vmstat"),
            Evidence("of them read back", back, "per second", source="/proc/vmstat"),
            Evidence("major faults", faults, "per second", source="/proc/vmstat"),
            Evidence("swap used", window.last.swap_used / GIB, "GiB", source="/proc/meminfo"),
            *_largest(processes),
        ),
        fixes=(_fix(),),
        explains={"host.memory": 1.0},
        impact=rate / (rate + 10 * pages),
    )


def _largest(processes: Processes | None) -> Iterator[Evidence]:
    """The three largest processes: one each, for PostgreSQL's share most of their memory."""
    ordered = sorted(processes.processes if processes else (), key=lambda p: -p.memory)
    for process in [p for p in ordered if not p.own][:3]:
        name = f"{process.label} (pid {process.pid})"
        yield Evidence(name, process.memory / GIB, "GiB", source="/proc/PID/stat")


def _fix() -> Fix:
    return Fix(
        "See who holds the memory, then lower what each session may take",
        ("ps -eo pid,rss,comm --sort=-rss | head -15",),
        language="shell",
        risk="none",
        verify="scaledoctor scan again",
        undo="none needed",
    )
