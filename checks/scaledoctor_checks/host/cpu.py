"""The host's CPU: full or not, and stolen or not."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Severity, Step, Use, Window, check, resource
from scaledoctor.sources.host import CpuTimes, HostInfo
from scaledoctor_checks.host._use import busy, capacity


@resource("host.cpu", step=Step.SCALE_OUT)
def cpu(
    info: HostInfo, window: Window[CpuTimes], /, *, warn: float = 0.8, critical: float = 0.9
) -> Use | None:
    """Busy cores against the cores that this machine may use.

    How measured: /proc/stat over the window, I/O wait and steal left out. Saturated only when
    tasks also queue: two runnable per core, or more than one and a half while tasks stall 60 % of
    the time (PSI). A machine at 95 % without a queue is well used. Another machine is known by
    its name.

    Thresholds: busy from ``warn`` of the cores, saturated from ``critical``; peers warn between 80
    and 90 % (Netdata 85, coroot 80, node-mixin 90).
    """
    used = busy(window)
    if used is None:
        return None
    usable = capacity(info)
    return Use(
        used=used.cores,
        limit=usable,
        unit="cores",
        warn=warn,
        critical=critical,
        waiting=max(0.0, used.running - usable),
        contended=used.contended(info.cores),
        subject=info.machine,
        history=window.rate_history(lambda c: c.busy),
        queued=window.history(lambda c: max(0.0, c.running - usable)),
    )


@check("host.steal", step=Step.SCALE_OUT)
def steal(
    info: HostInfo, window: Window[CpuTimes], /, *, warn: float = 0.1, critical: float = 0.25
) -> Iterator[Finding]:
    """The hypervisor gives this machine's CPU time to others.

    Why: the machine is ready to run and must not; inside it everything looks merely slow.

    How measured: steal time of /proc/stat over the window, as a share of the usable cores;
    medium from ``warn``, high from ``critical``. Thresholds: 10 % is where Netdata and
    awesome-prometheus-alerts warn.

    Fix: another instance type (no burst credits), or another host.

    When to ignore: a single spike.

    References: proc(5), steal.
    """
    used, usable = busy(window), capacity(info)
    if used is None or used.steal < warn * usable:
        return
    part = used.steal / usable
    yield Finding(
        subject="steal",
        summary=f"the hypervisor takes {part:.0%} of this machine's CPU time",
        severity=Severity.HIGH if part >= critical else Severity.MEDIUM,
        evidence=(Evidence("stolen", part, "share", warn, "/proc/stat"),),
        fixes=(
            Fix(
                "Move to an instance with CPU of its own",
                ("# cloud: leave burstable types, or check their credits", "# own: move the VM"),
                language="text",
                risk="a restart of the machine",
                verify="vmstat 1: column st is 0",
                undo="the old instance type",
            ),
        ),
        explains={"host.cpu": min(1.0, used.steal / max(used.cores + used.steal, 0.01))},
        impact=min(1.0, part),
    )
