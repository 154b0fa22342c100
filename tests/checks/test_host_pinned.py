"""A service that is held to a few cores: starved among idle ones, on plain facts."""

import asyncio
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from scaledoctor.sdk import Redactor, Window
from scaledoctor.sources.host import CpuTimes, HostInfo, Process, Processes
from scaledoctor.sources.host.processes import processes
from scaledoctor.sources.host.session import HostSession
from scaledoctor_checks.host.pinned import cpu_pinned

FOUR = HostInfo(4, 8 << 30, container=False)


def cpu(cores: float) -> Window[CpuTimes]:
    first = CpuTimes(0.0, 0.0, 0.0, 0.0, (), 2, 0, None, None, None)
    return Window(((0.0, first), (10.0, replace(first, busy=10 * cores))))


def table(
    ran: float, waited: float, allowed: int | None, label: str = "postgres"
) -> Window[Processes]:
    """One process that had run and waited before the ten seconds, too."""
    first = Process(7, label, cpu=5.0, waited=5.0, own=False, ran=5.0)
    last = replace(first, ran=5 + 10 * ran, waited=5 + 10 * waited, allowed=allowed)
    return Window(((0.0, Processes((first,))), (10.0, Processes((last,)))))


@pytest.mark.parametrize(
    ("cores", "ran", "waited", "allowed", "fires"),
    [
        (1.0, 0.7, 0.3, 1, True),
        (1.0, 0.71, 0.29, 1, False),
        (1.0, 0.7, 0.3, 4, False),
        (1.0, 0.7, 0.3, None, False),
        (3.5, 0.7, 0.3, 1, True),
        (3.6, 0.7, 0.3, 1, False),
        (1.0, 0.049, 0.2, 1, False),
        (1.0, 0.0, 0.0, 1, False),
    ],
)
def test_starved_and_pinned_among_idle_cores(
    cores: float, ran: float, waited: float, allowed: int | None, fires: bool
) -> None:
    """A third of the time without a core, fewer cores than there are, half a core free."""
    found = list(cpu_pinned(FOUR, cpu(cores), table(ran, waited, allowed)))
    assert [f.subject for f in found] == (["postgres, affinity"] if fires else [])
    if fires:
        assert found[0].fixes[0].commands == ("taskset -apc 0-3 7",)


def test_a_stranger_may_be_pinned() -> None:
    """And a process that is blocked does not wait for a core."""
    assert list(cpu_pinned(FOUR, cpu(1.0), table(0.5, 0.5, 1, "batch"))) == []
    assert list(cpu_pinned(FOUR, cpu(0.1), table(0.1, 0.0, 1))) == []


@pytest.mark.live
@pytest.mark.skipif(sys.platform != "linux", reason="the host is read through /proc")
def test_the_cores_of_a_busy_process_are_looked_up() -> None:
    """A real one that we hold to one core."""
    here = HostSession(Redactor())
    code = "import time\nend = time.monotonic() + 20\nwhile time.monotonic() < end: pass"
    child = subprocess.Popen([sys.executable, "-c", code])
    try:
        os.sched_setaffinity(child.pid, {min(os.sched_getaffinity(0))})

        async def both() -> Processes:
            await processes(here)
            await asyncio.sleep(1.0)
            return await processes(here)

        last = asyncio.run(both())
    finally:
        child.kill()
        child.wait()
    (found,) = [p for p in last.processes if p.pid == child.pid]
    assert found.allowed in (1, None), "None only where twelve others are busier"
