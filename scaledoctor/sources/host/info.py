"""How large this machine is."""

import os
import platform
import time
from dataclasses import dataclass

from scaledoctor.sdk import fact, probe
from scaledoctor.sources.host._places import quota_above
from scaledoctor.sources.host.session import PROC, HostSession, required, text

_CONTAINERS = ("docker", "kubepods", "containerd", "lxc", "libpod")


@fact
@dataclass(frozen=True, slots=True)
class HostInfo:
    """The machine's size; the name of ours is not kept.

    ``cores`` are the ones that we may run on (cpuset), ``quota`` the CPU quota above us in cores
    (None without one), ``memory`` is in bytes, ``booted`` in seconds since the epoch, ``pid``
    is ours. ``machine`` is the name of another machine, empty for this one.
    """

    cores: int
    memory: int
    container: bool
    logical: int = 0
    physical: int | None = None
    quota: float | None = None
    kernel: str = ""
    booted: float | None = None
    pid: int = 0
    machine: str = ""


@probe(cost="5 small files")
async def host_info(host: HostSession) -> HostInfo:
    """Read /proc/meminfo, /proc/cpuinfo, /proc/uptime and our control group."""
    total = next(
        int(row.split()[1]) * 1024
        for row in required(PROC / "meminfo").splitlines()
        if row.startswith("MemTotal:")
    )
    groups = text(PROC / "1" / "cgroup") or ""
    uptime = (text(PROC / "uptime") or "").split()
    return HostInfo(
        cores=len(os.sched_getaffinity(0)),
        memory=total,
        container=os.path.exists("/.dockerenv") or any(mark in groups for mark in _CONTAINERS),
        logical=os.cpu_count() or 1,
        physical=_physical(text(PROC / "cpuinfo") or ""),
        quota=quota_above(os.getpid()),
        kernel=platform.release(),
        booted=round(time.time() - float(uptime[0]), 1) if uptime else None,
        pid=os.getpid(),
    )


def _physical(cpuinfo: str) -> int | None:
    """Distinct (socket, core) pairs; None where the architecture does not tell."""
    found: set[tuple[str, str]] = set()
    for block in cpuinfo.split("\n\n"):
        entries = (row.partition(":") for row in block.splitlines())
        values = {name.strip(): value.strip() for name, _, value in entries}
        if "core id" in values:
            found.add((values.get("physical id", "0"), values["core id"]))
    return len(found) or None
