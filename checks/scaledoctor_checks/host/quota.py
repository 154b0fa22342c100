"""CPU quotas of control groups."""

import re
from collections.abc import Iterator

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Severity,
    Step,
    Use,
    Window,
    check,
    resource,
)
from scaledoctor.sources.host import Cgroup, Cgroups, HostInfo

SOURCE = "cpu.stat of the control group"
_CONTAINER = re.compile(r"(?:docker[/-]|libpod-)([0-9a-f]{12,64})")
_UNIT = re.compile(r"[^/]+\.(?:service|slice|scope)$")


def throttling(window: Window[Cgroups]) -> Iterator[tuple[Cgroup, float, float]]:
    """Yield (group, share of its periods throttled, throttled seconds per second).

    Throttled seconds are summed over cores, so that they may exceed the window.
    """
    if window.seconds <= 0:
        return
    before = {g.path: g for g in window.first.groups}
    for group in window.last.groups:
        first = before.get(group.path)
        periods = group.periods - first.periods if first else 0
        if first and periods > 0:
            share = (group.throttled - first.throttled) / periods
            lost = (group.throttled_seconds - first.throttled_seconds) / window.seconds
            yield group, share, lost


def _cores(window: Window[Cgroups], group: Cgroup) -> float | None:
    first = next((g for g in window.first.groups if g.path == group.path), None)
    if first is None or first.cpu is None or group.cpu is None:
        return None
    return max(0.0, group.cpu - first.cpu) / window.seconds


@resource("host.cpu-quota", step=Step.SCALE_OUT)
def cpu_quota(
    window: Window[Cgroups], /, *, warn: float = 0.25, critical: float = 0.5, lost: float = 0.05
) -> Iterator[Use]:
    """Scheduling periods in which a control group used up its CPU quota.

    How measured: nr_throttled over nr_periods in the window; contended when the group also lost
    ``lost`` of the window.

    Thresholds: busy from ``warn`` of the periods, saturated from ``critical``; 25 % alone is noise
    (kubernetes-mixin issue 108).
    """
    for group, share, seconds in throttling(window):
        cores = _cores(window, group)
        used = "" if cores is None else f", {cores:.2f} of {group.quota:g} cores used"
        yield Use(
            used=share,
            limit=1.0,
            unit="of its periods throttled",
            warn=warn,
            critical=critical,
            contended=seconds >= lost,
            scales=False,
            subject=group.path,
            detail=f"throttled in {share:.0%} of its periods{used}",
        )


@check("host.cpu-quota-throttled", step=Step.SCALE_OUT)
def cpu_quota_throttled(
    window: Window[Cgroups],
    info: HostInfo | None,
    /,
    *,
    periods: float = 0.25,
    lost: float = 0.05,
    half: float = 0.5,
    fifth: float = 0.2,
) -> Iterator[Finding]:
    """A CPU quota stops the database while the machine has idle cores.

    Why: the kernel freezes the whole group until the next period, whatever it holds: locks,
    connections, half a transaction.

    How measured: throttled in ``periods`` of the scheduling periods and for ``lost`` of the time;
    high from ``half`` of the periods and a ``fifth`` of the time on. 25 % of periods alone is
    noise: kubernetes-mixin issue 108.

    Fix: raise or remove the quota; relative weights share a machine without idle cores lost.

    When to ignore: a quota that is meant to be felt.

    References: kernel documentation, "CFS Bandwidth Control"; kubernetes-mixin issue 108.
    """
    for group, share, seconds in throttling(window):
        if share < periods or seconds < lost:
            continue
        who = ", ".join(group.members)
        cores = _cores(window, group)
        shown = () if cores is None else (Evidence("used", cores, "cores", group.quota, SOURCE),)
        database = "postgres" in group.members
        yield Finding(
            subject=f"{group.path} ({who})",
            summary=(
                f"the CPU quota of {group.quota:g} cores on {group.path} ({who}) stopped it in "
                f"{share:.0%} of its periods"
            ),
            severity=Severity.HIGH if share >= half and seconds >= fifth else Severity.MEDIUM,
            confidence=Confidence.HIGH if database else Confidence.MEDIUM,
            evidence=(
                Evidence("periods throttled", share, "share", periods, SOURCE),
                Evidence("tasks kept from running", seconds, "s per second", lost, SOURCE),
                Evidence("quota", group.quota, "cores", source=group.file),
                *shown,
            ),
            fixes=tuple(_fixes(group, info.logical if info else 0)),
            explains={f"host.cpu-quota:{group.path}": 1.0},
            impact=min(1.0, share),
        )


def _fixes(group: Cgroup, logical: int) -> Iterator[Fix]:
    """The owner's own command first: what is written below it may be overwritten."""
    more = f"{max(logical, 2 * group.quota):g}"
    risk = "the group may take every core; set cpu.weight or cpu.shares where it must share"
    verify = f"cat {group.file}; scaledoctor scan again"
    if "kubepods" in group.path:
        commands = (f"kubectl -n NAMESPACE set resources deployment/NAME --limits=cpu={more}",)
        undo = f"kubectl -n NAMESPACE set resources deployment/NAME --limits=cpu={group.quota:g}"
    elif match := _CONTAINER.search(group.path):
        commands = (f"docker update --cpus={more} {match[1][:12]}",)
        undo = f"docker update --cpus={group.quota:g} {match[1][:12]}"
    elif match := _UNIT.search(group.path):
        commands = (f"systemctl set-property {match[0]} CPUQuota=",)
        undo = f"systemctl set-property {match[0]} CPUQuota={group.quota:.0%}"
    else:
        yield _written(group, risk, verify)
        return
    yield Fix("Raise or remove the quota", commands, "shell", risk, verify, undo)
    yield _written(group, risk, verify)


def _written(group: Cgroup, risk: str, verify: str) -> Fix:
    period = 100_000
    limited = round(group.quota * period)
    if group.version == 2:
        free, back = "max", f"echo {limited} {period} > {group.file}"
    else:
        folder = group.path
        back = f"echo {period} > {folder}/cpu.cfs_period_us; echo {limited} > {group.file}"
        free = "-1"
    commands = (f"echo {free} > {group.file}",)
    return Fix("Remove the quota now", commands, "shell", risk, verify, back)
