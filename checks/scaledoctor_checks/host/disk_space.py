"""File systems that are nearly full."""

from collections.abc import Iterator

from scaledoctor.sdk import (
    Evidence,
    Finding,
    Fix,
    Kind,
    Severity,
    Step,
    Use,
    check,
    resource,
)
from scaledoctor.sources.host import Disks, Mount

GIB = 2.0**30


@resource("host.disk-space", step=Step.SCALE_OUT)
def disk_space(now: Disks, /, *, warn: float = 0.9, critical: float = 0.97) -> Iterator[Use]:
    """Space taken on each file system of data, of what ordinary users can have.

    How measured: statvfs, as df does: blocks reserved for root are left out.

    Thresholds: busy from ``warn``, where peers warn (10 % left), saturated from ``critical``;
    PostgreSQL stops when there is nothing left.
    """
    for mount in now.mounts:
        if mount.used + mount.available:
            yield Use(
                used=mount.used / GIB,
                limit=(mount.used + mount.available) / GIB,
                unit="GiB",
                warn=warn,
                critical=critical,
                scales=False,
                subject=mount.path,
            )


@check("host.disk-space-low", step=Step.SCALE_OUT)
def disk_space_low(
    now: Disks,
    /,
    *,
    warn: float = 0.9,
    high: float = 0.95,
    critical: float = 0.97,
    inodes: float = 0.95,
) -> Iterator[Finding]:
    """A file system is nearly full, in bytes or in inodes.

    Why: PostgreSQL stops when it cannot write its log.

    How measured: statvfs of every file system of data. Medium from ``warn`` taken, high from
    ``high``, critical from ``critical`` or ``inodes`` of the inodes taken. Thresholds: Netdata
    and awesome-prometheus-alerts warn at 10 % left, node-mixin at 5 and 3 %.

    Fix: find what grew; old logs, kept WAL of an orphaned slot.

    When to ignore: a file system that is meant to be full and holds nothing of the service.

    References: statvfs(3); PostgreSQL manual, "Disk Full Failure".
    """
    for mount in now.mounts:
        taken, files = _taken(mount), _inodes(mount)
        if taken < warn and files < inodes:
            continue
        urgent = taken >= critical or files >= inodes
        severity = Severity.HIGH if taken >= high else Severity.MEDIUM
        yield Finding(
            subject=mount.path,
            summary=(
                f"{mount.path} is {taken:.0%} full, {mount.available / GIB:.1f} GiB left; "
                f"{files:.0%} of its inodes are taken"
            ),
            severity=Severity.CRITICAL if urgent else severity,
            evidence=(
                Evidence("space taken", taken, "share", warn, "statvfs"),
                Evidence("inodes taken", files, "share", inodes, "statvfs"),
            ),
            fixes=(_fix(mount),),
            explains={f"host.disk-space:{mount.path}": 1.0},
            kind=Kind.LIVE if urgent else Kind.RISK,
        )


def _fix(mount: Mount) -> Fix:
    return Fix(
        "See what takes the space",
        (f"du -xh --max-depth=2 '{mount.path}' | sort -h | tail -20",),
        language="shell",
        risk="reads the folders: some load on the disk",
        verify=f"df -h '{mount.path}'; df -i '{mount.path}'",
        undo="none needed",
    )


def _taken(mount: Mount) -> float:
    known = mount.used + mount.available
    return mount.used / known if known else 0.0


def _inodes(mount: Mount) -> float:
    return 1 - mount.inodes_free / mount.inodes if mount.inodes else 0.0
