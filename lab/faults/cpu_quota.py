"""A control group stops the database while the machine has idle cores."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scaledoctor.demo.fault import Fault, Pace
from scaledoctor.demo.stage import Stage

PERIOD = 100_000
QUOTA = 10_000  # microseconds of each period: a tenth of a core

V1 = Path("/sys/fs/cgroup/cpu")
V2 = Path("/sys/fs/cgroup")


def impossible() -> str:
    """Why no group can be made here."""
    if os.geteuid() != 0:
        return "making a control group needs root"
    if not _first_version() and "cpu" not in _text(V2 / "cgroup.subtree_control").split():
        return "no CPU controller in /sys/fs/cgroup"
    if not os.access(V1 if _first_version() else V2, os.W_OK):
        return "/sys/fs/cgroup is read-only here"
    return ""


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Put the server and its sessions into a group of their own with a quota."""
    root = V1 if _first_version() else V2
    group = root / f"scaledoctor-lab-{os.getpid()}"
    group.mkdir()
    try:
        limit = group / ("cpu.cfs_quota_us" if _first_version() else "cpu.max")
        limit.write_text(str(QUOTA) if _first_version() else f"{QUOTA} {PERIOD}")
        stage.files.add(str(limit))
        _move(_family(stage.server.pid), group)
        yield
    finally:
        while inside := _text(group / "cgroup.procs").split():  # sessions may still begin
            _move([int(pid) for pid in inside], root)
        group.rmdir()


def _first_version() -> bool:
    return (V1 / "cpu.cfs_quota_us").exists() or (V1 / "cgroup.procs").exists()


def _family(pid: int) -> list[int]:
    children = _text(Path(f"/proc/{pid}/task/{pid}/children")).split()
    return [pid, *map(int, children)]


def _move(pids: list[int], group: Path) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # a session that has ended
            (group / "cgroup.procs").write_text(str(pid))


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""


FAULT = Fault(
    name="cpu-quota",
    story="the database's container gets a tenth of a core",
    inject=inject,
    checks=("host.cpu-quota-throttled",),
    subject=lambda names: "postgres",
    pace=Pace(think_ms=15.0),
    impossible=impossible,
)
