"""Limits of control groups, v1 and v2: they stop a service while the machine has room."""

import os
from dataclasses import dataclass
from pathlib import Path

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.host._places import places, quota
from scaledoctor.sources.host.session import PROC, HostSession, number, pids, text

_NO_LIMIT = 1 << 60
"""v1 writes "no limit" as the largest multiple of a page: about 2**63."""

Place = tuple[int, Path]


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One group with a CPU quota: cores, and counters of periods and throttled seconds.

    ``file`` is where the quota is written, ``version`` 1 or 2; ``members`` are the names of the
    processes of interest inside: ours and PostgreSQL's. ``cpu`` is the group's CPU seconds, None
    where no accounting is mounted.
    """

    path: str
    version: int
    file: str
    quota: float
    periods: int
    throttled: int
    throttled_seconds: float
    members: tuple[str, ...]
    cpu: float | None = None


@dataclass(frozen=True, slots=True)
class MemoryGroup:
    """One group with a memory limit: bytes, and the counter of kills inside it.

    ``used`` leaves out file pages that can be dropped (the working set).
    """

    path: str
    version: int
    file: str
    limit: int
    used: int
    oom_kills: int
    members: tuple[str, ...]


@fact
@dataclass(frozen=True, slots=True)
class Cgroups:
    """The groups with a limit that hold PostgreSQL or ourselves."""

    groups: tuple[Cgroup, ...]
    memory: tuple[MemoryGroup, ...] = ()


@probe(cost="1 small file per process and 3 per group, at both edges", cadence=Cadence.EDGES)
async def cgroups(host: HostSession) -> Cgroups:
    """Find the groups, their ancestors too: a limit anywhere above holds for all below."""
    cpu: dict[Place, set[str]] = {}
    memory: dict[Place, set[str]] = {}
    for pid in pids():
        name = (text(f"{PROC}/{pid}/comm") or "").strip()
        if name.startswith("postgres") or pid == os.getpid():
            label = "scaledoctor" if pid == os.getpid() else "postgres"
            for controller, found in (("cpu", cpu), ("memory", memory)):
                for place in places(pid, controller):
                    found.setdefault(place, set()).add(label)
    groups = (_cpu(place, names) for place, names in cpu.items())
    limited = (_memory(place, names) for place, names in memory.items())
    return Cgroups(
        tuple(sorted((g for g in groups if g), key=lambda g: g.path)),
        tuple(sorted((g for g in limited if g), key=lambda g: g.path)),
    )


def _numbers(path: Path) -> dict[str, int]:
    rows = (row.split() for row in (text(path) or "").splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def _cpu(place: Place, names: set[str]) -> Cgroup | None:
    version, path = place
    cores = quota(version, path)
    stat = _numbers(path / "cpu.stat")
    if cores is None or "nr_periods" not in stat:
        return None
    if version == 2:
        lost = stat.get("throttled_usec", 0) / 1e6
        cpu = stat["usage_usec"] / 1e6 if "usage_usec" in stat else None
    else:
        lost = stat.get("throttled_time", 0) / 1e9
        used = number(path / "cpuacct.usage")
        cpu = None if used is None else used / 1e9
    return Cgroup(
        path=str(path),
        version=version,
        file=str(path / ("cpu.max" if version == 2 else "cpu.cfs_quota_us")),
        quota=cores,
        periods=stat["nr_periods"],
        throttled=stat.get("nr_throttled", 0),
        throttled_seconds=lost,
        members=tuple(sorted(names)),
        cpu=cpu,
    )


def _memory(place: Place, names: set[str]) -> MemoryGroup | None:
    version, path = place
    file = path / ("memory.max" if version == 2 else "memory.limit_in_bytes")
    used = number(path / ("memory.current" if version == 2 else "memory.usage_in_bytes"))
    limit = number(file)
    if limit is None or limit >= _NO_LIMIT or used is None:
        return None
    events = _numbers(path / ("memory.events" if version == 2 else "memory.oom_control"))
    stat = _numbers(path / "memory.stat")
    droppable = stat.get("inactive_file" if version == 2 else "total_inactive_file", 0)
    return MemoryGroup(
        path=str(path),
        version=version,
        file=str(file),
        limit=limit,
        used=max(0, used - droppable),
        oom_kills=events.get("oom_kill", 0),
        members=tuple(sorted(names)),
    )
