"""Processes that the kernel killed for want of memory."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Severity, Step, Window, check
from scaledoctor.sources.host import Cgroups, Memory, MemoryGroup


@check("host.oom-kills", step=Step.SCALE_OUT)
def oom_kills(window: Window[Memory], groups: Window[Cgroups] | None, /) -> Iterator[Finding]:
    """The kernel killed processes because memory was gone.

    Why: one killed backend makes PostgreSQL end all others and recover.

    How measured: oom_kill of /proc/vmstat grew in the window. It counts kills inside control
    groups too: those of PostgreSQL's and our own groups are told apart by their own counters.

    Fix: a group: raise its limit or lower what runs inside. The machine: less memory per
    session, and vm.overcommit_memory = 2 so that PostgreSQL gets an error instead.

    When to ignore: kills inside a container that is not the service's.

    References: PostgreSQL manual, "Linux Memory Overcommit"; kernel documentation, "cgroup v2",
    memory.events.
    """
    kills = window.delta(lambda m: m.oom_kills) or 0.0
    inside = list(_killed(groups))
    for group, count in inside:
        who = ", ".join(group.members)
        yield _finding(
            f"{group.path} ({who})",
            f"{count} processes were killed in {group.path} ({who}) at its memory limit",
            count,
            f"host.memory:{group.path}",
            f"{group.path}, oom_kill",
            _raise(group),
        )
    # A kill counts in each group above it: the deepest counter covers the others.
    rest = kills - max((count for _, count in inside), default=0)
    if rest > 0:
        yield _finding(
            "machine or another group",
            f"{rest:.0f} processes were killed on this machine for want of memory",
            rest,
            "host.memory",
            "/proc/vmstat, oom_kill",
            Fix(
                "See which process, and whether its group or the machine was full",
                ("dmesg -T | grep -iE 'out of memory|oom-kill|constraint' | tail",),
                language="shell",
                risk="none",
                verify="grep oom_kill /proc/vmstat: it no longer grows",
                undo="none needed",
            ),
        )


def _killed(groups: Window[Cgroups] | None) -> Iterator[tuple[MemoryGroup, int]]:
    before = {g.path: g for g in groups.first.memory} if groups else {}
    for group in groups.last.memory if groups else ():
        first = before.get(group.path)
        if first and group.oom_kills > first.oom_kills:
            yield group, group.oom_kills - first.oom_kills


def _finding(
    subject: str, summary: str, count: float, resource: str, source: str, fix: Fix
) -> Finding:
    return Finding(
        subject=subject,
        summary=summary,
        severity=Severity.CRITICAL if "postgres" in subject else Severity.HIGH,
        evidence=(Evidence("killed in the window", float(count), "processes", 0.0, source),),
        fixes=(fix,),
        explains={resource: 1.0},
        impact=0.5,  # what was lost is not measured: sessions ended and work was repeated
    )


def _raise(group: MemoryGroup) -> Fix:
    return Fix(
        "Raise the group's limit by half (container or systemd: in their own setting, too)",
        (f"echo {group.limit * 3 // 2} > {group.file}",),
        language="shell",
        risk="the machine must have that much left",
        verify=f"cat {group.file}; scaledoctor scan again",
        undo=f"echo {group.limit} > {group.file}",
    )
