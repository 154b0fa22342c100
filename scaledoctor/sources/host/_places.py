"""Where a process's control groups are, v1 and v2: it and every group above it."""

from collections.abc import Iterator
from pathlib import Path

from scaledoctor.sources.host.session import PROC, number, text

ROOT = Path("/sys/fs/cgroup")


def places(pid: int, controller: str) -> Iterator[tuple[int, Path]]:
    """Yield (version, folder) of the process's group and its ancestors for one controller.

    In a container whose own group is mounted as the root, the path does not exist: the walk up
    ends at that root all the same.
    """
    for row in (text(PROC / str(pid) / "cgroup") or "").splitlines():
        hierarchy, controllers, path = row.split(":", 2)
        if hierarchy == "0" and (ROOT / "cgroup.controllers").exists():
            version, base = 2, ROOT
        elif controller in controllers.split(","):
            joint = ROOT / controllers
            version, base = 1, joint if joint.is_dir() else ROOT / controller
        else:
            continue
        here = base / path.lstrip("/")
        for place in (here, *here.parents):
            if place == base.parent:
                break
            yield version, place


def quota(version: int, path: Path) -> float | None:
    """Return a group's CPU quota in cores; None without a limit."""
    if version == 2:
        limit, _, period = (text(path / "cpu.max") or "max").strip().partition(" ")
        return None if limit == "max" else int(limit) / int(period or 100_000)
    limited = number(path / "cpu.cfs_quota_us") or -1
    return None if limited <= 0 else limited / (number(path / "cpu.cfs_period_us") or 100_000)


def quota_above(pid: int) -> float | None:
    """Return the tightest CPU quota on a process in cores; None without one."""
    quotas = (quota(version, path) for version, path in places(pid, "cpu"))
    return min((q for q in quotas if q is not None), default=None)
