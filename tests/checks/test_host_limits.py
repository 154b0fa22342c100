"""Quotas, memory and disks on plain facts: quiet and firing at the edge of each threshold."""

from dataclasses import replace

import pytest

from scaledoctor.sdk import Kind, Severity, State, Window
from scaledoctor.sources.host import (
    Cgroup,
    Cgroups,
    CpuTimes,
    Device,
    Disks,
    HostInfo,
    Memory,
    MemoryGroup,
    Mount,
    Pressure,
    Process,
    Processes,
)
from scaledoctor_checks.host.disk import disk, disk_saturated
from scaledoctor_checks.host.disk_space import disk_space, disk_space_low
from scaledoctor_checks.host.memory import memory, memory_pressure, swapping
from scaledoctor_checks.host.oom import oom_kills
from scaledoctor_checks.host.quota import cpu_quota, cpu_quota_throttled

SECONDS = 10.0
GIB = 1 << 30
INFO = HostInfo(cores=4, memory=8 * GIB, container=False, logical=4)


def over(first: Memory, last: Memory) -> Window[Memory]:
    return Window(((0.0, first), (SECONDS, last)))


def throttled(
    periods: int, seconds: float, path: str = "/sys/fs/cgroup/cpu/db", version: int = 1
) -> Window[Cgroups]:
    """``periods`` of 100 throttled, and that many seconds in all, by a quota of half a core."""
    name = "cpu.max" if version == 2 else "cpu.cfs_quota_us"
    first = Cgroup(path, version, f"{path}/{name}", 0.5, 0, 0, 0.0, ("postgres",), 0.0)
    last = replace(first, periods=100, throttled=periods, throttled_seconds=seconds, cpu=4.0)
    return Window(((0.0, Cgroups((first,))), (SECONDS, Cgroups((last,)))))


@pytest.mark.parametrize(
    ("periods", "seconds", "severity"),
    [
        (24, 5.0, None),
        (25, 0.4, None),
        (25, 0.5, Severity.MEDIUM),
        (50, 1.9, Severity.MEDIUM),
        (50, 2.0, Severity.HIGH),
    ],
)
def test_throttling_needs_periods_and_lost_time(
    periods: int, seconds: float, severity: Severity | None
) -> None:
    """A quarter of the periods and 5 % of the time; half and a fifth are high."""
    found = list(cpu_quota_throttled(throttled(periods, seconds), INFO))
    assert [f.severity for f in found] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("path", "version", "command", "undo"),
    [
        ("/sys/fs/cgroup/cpu/db", 1, "echo -1 > /sys/fs/cgroup/cpu/db/cpu.cfs_quota_us", "50000"),
        ("/sys/fs/cgroup/db", 2, "echo max > /sys/fs/cgroup/db/cpu.max", "echo 50000 100000"),
        (
            "/sys/fs/cgroup/system.slice/postgresql.service",
            2,
            "systemctl set-property postgresql.service CPUQuota=",
            "CPUQuota=50%",
        ),
        (
            "/sys/fs/cgroup/system.slice/docker-0123456789abcdef.scope",
            2,
            "docker update --cpus=4 0123456789ab",
            "--cpus=0.5",
        ),
        (
            "/sys/fs/cgroup/kubepods/burstable/pod1/abc",
            2,
            "kubectl -n NAMESPACE set resources deployment/NAME --limits=cpu=4",
            "--limits=cpu=0.5",
        ),
    ],
)
def test_the_fix_speaks_to_the_owner_of_the_group(
    path: str, version: int, command: str, undo: str
) -> None:
    """systemd, Docker and Kubernetes write the file themselves: ask them."""
    (found,) = cpu_quota_throttled(throttled(90, 5.0, path, version), INFO)
    assert found.fixes[0].commands == (command,)
    assert undo in found.fixes[0].undo
    assert "0.5 cores" in found.summary
    assert found.explains == {f"host.cpu-quota:{path}": 1.0}


def test_the_quota_is_a_resource() -> None:
    """Saturated from half of the periods on, and only when time was lost."""
    (full,) = cpu_quota(throttled(50, 5.0))
    (short,) = cpu_quota(throttled(50, 0.1))
    assert (full.state, short.state) == (State.SATURATED, State.BUSY)
    assert "0.40 of 0.5 cores" in full.detail
    assert list(cpu_quota(Window(throttled(50, 5.0).samples[:1]))) == []


EASY = Memory(100 * GIB, 50 * GIB, 0, 0, 0, 0)


def stalls(some: float, full: float = 0.0, io: float = 0.0) -> Window[CpuTimes]:
    def at(seconds: float) -> CpuTimes:
        pressure = Pressure(some * seconds, full * seconds)
        disk = Pressure(io * seconds, 0.0)
        return CpuTimes(0.0, 0.0, 0.0, 0.0, (), 0, 0, None, disk, pressure)

    return Window(((0.0, at(0.0)), (SECONDS, at(SECONDS))))


@pytest.mark.parametrize(
    ("available", "severity"),
    [(10, None), (9, Severity.MEDIUM), (5, Severity.MEDIUM), (4, Severity.HIGH)],
)
def test_little_memory_left_is_a_risk(available: int, severity: Severity | None) -> None:
    """10 % and 5 % are the edges; without stalls nothing suffers yet."""
    now = replace(EASY, available=available * GIB)
    found = list(memory_pressure(over(now, now), None, None))
    assert [(f.severity, f.kind) for f in found] == ([(severity, Kind.RISK)] if severity else [])


@pytest.mark.parametrize(
    ("some", "full", "severity"),
    [
        (0.09, 0.04, None),
        (0.11, 0.0, Severity.HIGH),
        (0.11, 0.06, Severity.CRITICAL),
    ],
)
def test_stalls_for_memory_are_live(some: float, full: float, severity: Severity | None) -> None:
    """PSI: 10 % some is high, 5 % full critical; the largest process is shown."""
    big = Processes((Process(7, "java", 0.0, None, False, memory=3 * GIB),))
    found = list(memory_pressure(over(EASY, EASY), stalls(some, full), big))
    assert [(f.severity, f.kind) for f in found] == ([(severity, Kind.LIVE)] if severity else [])
    assert all(f.evidence[-1].fact == "java (pid 7)" for f in found)


@pytest.mark.parametrize(("pages", "named"), [(1000, False), (1001, True)])
def test_swapping_is_a_rate(pages: int, named: bool) -> None:
    """100 pages per second; swap in use says nothing."""
    used = replace(EASY, swap_used=10 * GIB)
    window = over(used, replace(used, swapped_pages=pages))
    assert bool(list(swapping(window, None))) is named
    assert list(swapping(Window(window.samples[-1:]), None)) == []


def limited(kills: int) -> MemoryGroup:
    path = "/sys/fs/cgroup/memory/db"
    return MemoryGroup(
        path, 1, f"{path}/memory.limit_in_bytes", GIB, GIB // 2, kills, ("postgres",)
    )


@pytest.mark.parametrize(
    ("total", "inside", "subjects"),
    [
        (0, 0, []),
        (1, 1, ["/sys/fs/cgroup/memory/db (postgres)"]),
        (1, 0, ["machine or another group"]),
        (3, 1, ["/sys/fs/cgroup/memory/db (postgres)", "machine or another group"]),
    ],
)
def test_kills_are_told_apart(total: int, inside: int, subjects: list[str]) -> None:
    """The machine's counter holds the group's kills too."""
    before = Window(((0.0, Cgroups((), (limited(4),))), (SECONDS, Cgroups((), (limited(4),)))))
    groups = Window((before.samples[0], (SECONDS, Cgroups((), (limited(4 + inside),)))))
    window = over(replace(EASY, oom_kills=9), replace(EASY, oom_kills=9 + total))
    found = list(oom_kills(window, groups))
    assert [f.subject for f in found] == subjects
    for finding in found:
        database = "postgres" in finding.subject
        assert finding.severity is (Severity.CRITICAL if database else Severity.HIGH)


def test_memory_of_machine_and_groups() -> None:
    """Each has its own limit."""
    machine, group = memory(replace(EASY, available=4 * GIB), Cgroups((), (limited(0),)))
    assert (machine.subject, machine.state) == ("", State.SATURATED)
    assert (group.utilization, group.state) == (0.5, State.OK)


def busy_disk(busy: float, ms: float, queue: float) -> Window[Disks]:
    """1000 requests of ``ms`` each with ``queue`` in flight on average."""
    first = Device("sda", 0, 0.0, 0.0, 0.0)
    last = Device("sda", 1000, ms, busy * SECONDS, queue * SECONDS)
    return Window(((0.0, Disks((first,), ())), (SECONDS, Disks((last,), ()))))


@pytest.mark.parametrize(
    ("busy", "ms", "queue", "io", "state"),
    [
        (1.0, 19.0, 3.0, 0.0, State.BUSY),
        (1.0, 20.0, 1.9, 0.0, State.BUSY),
        (1.0, 20.0, 2.0, 0.0, State.SATURATED),
        (1.0, 1.0, 30.0, 0.1, State.BUSY),
        (1.0, 1.0, 4.0, 0.25, State.SATURATED),
        (0.5, 1.0, 0.5, 0.0, State.OK),
    ],
)
def test_a_disk_is_saturated_when_requests_wait(
    busy: float, ms: float, queue: float, io: float, state: State
) -> None:
    """Busy all the time is no limit on a device that serves many at once."""
    window = busy_disk(busy, ms, queue)
    (use,) = disk(window, stalls(0.0, io=io))
    assert use.state is state
    found = list(disk_saturated(window, stalls(0.0, io=io)))
    assert [f.subject for f in found] == (["sda"] if state is State.SATURATED else [])
    assert list(disk(Window(window.samples[:1]), None)) == []


def mount(used: int, inodes_free: int = 50) -> Disks:
    """A file system of 100 GiB for ordinary users, and 20 reserved for root."""
    return Disks((), (Mount("/data", 120 * GIB, (100 - used) * GIB, 100, inodes_free, used * GIB),))


@pytest.mark.parametrize(
    ("now", "severity", "kind"),
    [
        (mount(89), None, None),
        (mount(90), Severity.MEDIUM, Kind.RISK),
        (mount(95), Severity.HIGH, Kind.RISK),
        (mount(97), Severity.CRITICAL, Kind.LIVE),
        (mount(10, inodes_free=6), None, None),
        (mount(10, inodes_free=5), Severity.CRITICAL, Kind.LIVE),
    ],
)
def test_space_and_inodes(now: Disks, severity: Severity | None, kind: Kind | None) -> None:
    """90, 95 and 97 % of what users can have; 95 % of the inodes."""
    found = list(disk_space_low(now))
    assert [(f.severity, f.kind) for f in found] == ([(severity, kind)] if severity else [])
    (use,) = disk_space(now)
    assert use.limit == 100.0
    assert use.multiple is None
