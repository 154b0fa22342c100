"""Block devices and file systems."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.host.session import PROC, HostSession, required

REAL = ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs")
"""File systems that hold data; tmpfs, squashfs and the like are memory or images."""


@dataclass(frozen=True, slots=True)
class Device:
    """One block device; counters since boot.

    ``requests`` done (``reads`` and ``writes``), seconds ``waited`` by all of them, seconds in
    which it was ``busy``, and ``queued``, the integral of the queue's length over time.
    ``flushing`` are seconds of flushes, for fsync, known since Linux 5.5.
    """

    name: str
    requests: int
    waited: float
    busy: float
    queued: float
    reads: int = 0
    writes: int = 0
    flushing: float = 0.0


@dataclass(frozen=True, slots=True)
class Mount:
    """Bytes and inodes of one file system; available means to ordinary users.

    ``used`` leaves out the blocks reserved for root, as df does; they are neither used nor
    available.
    """

    path: str
    total: int
    available: int
    inodes: int
    inodes_free: int
    used: int = 0


@fact
@dataclass(frozen=True, slots=True)
class Disks:
    """Every physical device and every real, writable file system."""

    devices: tuple[Device, ...]
    mounts: tuple[Mount, ...]


@probe(cost="2 small files and 1 statvfs per file system, at both edges", cadence=Cadence.EDGES)
async def disks(host: HostSession) -> Disks:
    """Read /proc/diskstats (kernel documentation, iostats) and the mounted file systems."""
    rows = [row.split() for row in required(PROC / "diskstats").splitlines()]
    devices = tuple(
        Device(
            name=f[2],
            requests=int(f[3]) + int(f[7]),
            waited=(int(f[6]) + int(f[10])) / 1000,
            busy=int(f[12]) / 1000,
            queued=int(f[13]) / 1000,
            reads=int(f[3]),
            writes=int(f[7]),
            flushing=int(f[19]) / 1000 if len(f) > 19 else 0.0,
        )
        for f in rows
        if os.path.exists(f"/sys/block/{f[2]}/device")
    )
    mounts = (_mount(path, host) for path in _paths(required(PROC / "self" / "mounts")))
    return Disks(devices, tuple(mount for mount in mounts if mount))


def _paths(table: str) -> Iterator[str]:
    """Yield one folder per device: file systems that are writable and hold data.

    A container's root is an overlay; single files bound into it are left out.
    """
    seen: set[str] = set()
    for row in table.splitlines():
        device, path, kind, options = row.split()[:4]
        path = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)
        holds_data = kind in REAL or (kind == "overlay" and path == "/")
        writable = "ro" not in options.split(",")
        if holds_data and writable and device not in seen and os.path.isdir(path):
            seen.add(device)
            yield path


def _mount(path: str, host: HostSession) -> Mount | None:
    try:
        size = os.statvfs(path)
    except OSError:
        return None
    return Mount(
        path=host.redactor.text(path),
        total=size.f_blocks * size.f_frsize,
        available=size.f_bavail * size.f_frsize,
        inodes=size.f_files,
        inodes_free=size.f_favail,
        used=(size.f_blocks - size.f_bfree) * size.f_frsize,
    )
