"""Whose the disk is: on plain facts, and with a real loop of fsync on this machine."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scaledoctor.sdk import Redactor, Severity, Unavailable, Window
from scaledoctor.sources.host import (
    CpuTimes,
    Device,
    Disks,
    IoUse,
    Pressure,
    Process,
    Processes,
    ProcessIo,
)
from scaledoctor.sources.host.disks import disks
from scaledoctor.sources.host.process_io import process_io
from scaledoctor.sources.host.processes import processes
from scaledoctor.sources.host.session import HostSession
from scaledoctor_checks.host.disk_other_process import disk_other_process

SECONDS = 10.0
TABLE = Processes(
    (
        Process(1, "postgres", cpu=0.0, waited=None, own=False),
        Process(2, "backup", cpu=0.0, waited=None, own=False),
    )
)


def device(wait: float = 0.0, queue: float = 0.0, flushing: float = 0.0) -> Window[Disks]:
    """A thousand requests that took so many seconds each."""
    first = Device("sda", 0, 0.0, 0.0, 0.0)
    last = Device("sda", 1000, wait * 1000, 9.5, queue * SECONDS, flushing=flushing * SECONDS)
    return Window(((0.0, Disks((first,), ())), (SECONDS, Disks((last,), ()))))


def traffic(postgres: int, backup: int, hidden: int = 0) -> Window[ProcessIo]:
    """Bytes in ten seconds; both began with more than that."""

    def at(part: int) -> ProcessIo:
        mine = IoUse(1, "postgres", 10**9, 10**9 + part * postgres)
        other = IoUse(2, "backup", 10**9 + part * backup, 10**9)
        return ProcessIo((mine, other), hidden)

    return Window(((0.0, at(0)), (SECONDS, at(1))))


SLOW = device(wait=0.02, queue=2.0)


@pytest.mark.parametrize(
    ("disk", "postgres", "backup", "fires"),
    [
        (SLOW, 50, 50, True),
        (SLOW, 51, 49, False),
        (SLOW, 0, 0, False),
        (device(wait=0.019, queue=2.0), 0, 100, False),
        (device(wait=0.02, queue=1.9), 0, 100, False),
        (device(flushing=0.5), 0, 100, True),
        (device(flushing=0.49), 0, 100, False),
        (device(), 0, 100, False),
    ],
)
def test_a_stranger_has_half_of_a_disk_that_is_slow(
    disk: Window[Disks], postgres: int, backup: int, fires: bool
) -> None:
    """A disk that is merely busy is no fault, and the database's own bytes are no stranger's."""
    found = list(disk_other_process(disk, traffic(postgres, backup), TABLE, None))
    assert [f.subject for f in found] == (["backup"] if fires else [])
    if fires:
        assert found[0].fixes[0].commands == ("ionice -c 3 -p 2",)
        assert found[0].explains["host.disk:sda"] == pytest.approx(backup / (postgres + backup))


def test_it_is_urgent_while_tasks_stall() -> None:
    """A fifth of the time, by PSI."""

    def at(seconds: float) -> CpuTimes:
        return CpuTimes(0, 0, 0, 0, (), 0, 0, None, Pressure(0.2 * seconds, 0.0), None)

    cpu = Window(((0.0, at(0.0)), (SECONDS, at(SECONDS))))
    (calm,) = disk_other_process(SLOW, traffic(0, 100), TABLE, None)
    (urgent,) = disk_other_process(SLOW, traffic(0, 100), TABLE, cpu)
    assert (calm.severity, urgent.severity) == (Severity.MEDIUM, Severity.HIGH)
    assert urgent.impact > calm.impact


def test_what_others_hide_is_skipped_only_when_it_matters() -> None:
    """Who may not see most processes cannot say whose a slow disk is; a good one is good."""
    hidden = traffic(0, 100, hidden=3)
    with pytest.raises(Unavailable, match="3 processes' input and output are not ours to see"):
        list(disk_other_process(SLOW, hidden, TABLE, None))
    assert list(disk_other_process(device(), hidden, TABLE, None)) == []


STORM = """
import os, time
file = os.open("storm", os.O_WRONLY | os.O_CREAT)
end = time.monotonic() + 30
print("ready", flush=True)
while time.monotonic() < end:
    os.pwrite(file, os.urandom(4096), 0)
    os.fsync(file)
"""


@pytest.mark.live
@pytest.mark.skipif(sys.platform != "linux", reason="the host is read through /proc")
def test_a_loop_of_fsync_is_seen_with_its_bytes_and_its_flushes(tmp_path: Path) -> None:
    """On this disk; the finding itself depends on how slow the disk is, so that is set."""
    script = tmp_path / "fsync_storm.py"
    script.write_text(STORM)
    here, edges = HostSession(Redactor()), []

    async def look() -> tuple[float, Disks, ProcessIo, Processes]:
        table = await processes(here)
        return time.monotonic(), await disks(here), await process_io(here, table), table

    with subprocess.Popen(
        [sys.executable, str(script)], cwd=tmp_path, stdout=subprocess.PIPE
    ) as storm:
        try:
            assert storm.stdout is not None
            assert storm.stdout.readline() == b"ready\n"
            edges.append(asyncio.run(look()))
            time.sleep(1.5)
            edges.append(asyncio.run(look()))
        finally:
            storm.kill()
    first, last = ({p.pid: p for p in edge[2].processes}.get(storm.pid) for edge in edges)
    if first is None or last is None or last.written == first.written:
        pytest.skip("this folder is on no disk, or the kernel does not count its bytes")
    assert last.label.endswith("fsync_storm.py")
    flushed = [sum(d.flushing for d in edge[1].devices) for edge in edges]
    assert flushed[1] >= flushed[0]
    alone = [(edge[0], ProcessIo((mine,))) for edge, mine in zip(edges, (first, last), strict=True)]
    (found,) = disk_other_process(SLOW, Window(tuple(alone)), edges[1][3], None)
    assert found.subject.endswith("fsync_storm.py")
