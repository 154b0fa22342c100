"""The host's checks on this machine: quiet when idle, right when something takes the CPU."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from scaledoctor.sdk import Redactor, State, Window
from scaledoctor.sources.host import Cgroups, CpuTimes, HostInfo, Processes
from scaledoctor.sources.host.cgroups import cgroups
from scaledoctor.sources.host.cpu import cpu_times
from scaledoctor.sources.host.info import host_info
from scaledoctor.sources.host.processes import processes
from scaledoctor.sources.host.session import HostSession
from scaledoctor_checks.host.cpu import cpu, steal
from scaledoctor_checks.host.other_process import cpu_other_process
from scaledoctor_checks.host.quota import cpu_quota, cpu_quota_throttled

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(sys.platform != "linux", reason="the host is read through /proc"),
]

HOG = "import time\nend = time.monotonic() + 20\nwhile time.monotonic() < end: pass\n"
V1 = Path("/sys/fs/cgroup/cpu")


def observed(seconds: float) -> tuple[HostInfo, Window[CpuTimes], Window[Processes]]:
    """What a scan of that many seconds reads."""
    here = HostSession(Redactor())
    edges: list[tuple[float, Processes]] = []
    samples: list[tuple[float, CpuTimes]] = []
    began = time.monotonic()

    def at() -> float:
        return time.monotonic() - began

    async def read() -> HostInfo:
        edges.append((at(), await processes(here)))
        while at() < seconds:
            samples.append((at(), await cpu_times(here)))
            await asyncio.sleep(0.5)
        edges.append((at(), await processes(here)))
        return await host_info(here)

    info = asyncio.run(read())
    return info, Window(tuple(samples)), Window(tuple(edges))


def idle(seconds: float) -> tuple[HostInfo, Window[CpuTimes], Window[Processes]]:
    """The same on a machine that does nothing else, or a skip that says that it does."""
    info, window, table = observed(seconds)
    use = cpu(info, window)
    assert use is not None
    if use.used > 0.25 * info.cores:
        pytest.skip(f"this machine is not idle: {use.used:.1f} cores are busy")
    return info, window, table


@contextmanager
def running(*commands: list[str]) -> Iterator[list[int]]:
    """Start them, and end exactly them."""
    with ExitStack() as stack:
        children: list[subprocess.Popen[bytes]] = []
        for command in commands:
            child = subprocess.Popen(command)
            stack.callback(child.wait)
            stack.callback(child.kill)
            children.append(child)
        yield [child.pid for child in children]


def test_an_idle_machine_is_quiet() -> None:
    """Nothing runs, nothing is named."""
    info, window, table = idle(2.0)
    assert list(cpu_other_process(info, window, table, None, None)) == []
    assert list(steal(info, window)) == []


def test_a_hog_is_named_with_its_pids(tmp_path: Path) -> None:
    """Two busy loops per core that belong to nobody: label, all pids, the command to stop them."""
    script = tmp_path / "nightly_report.py"
    script.write_text(HOG)
    idle(0.6)
    many = 2 * len(os.sched_getaffinity(0))
    with running(*[[sys.executable, str(script)]] * many) as pids:
        time.sleep(0.3)
        info, window, table = observed(4.0)
    use = cpu(info, window)
    assert use is not None
    assert use.state is State.SATURATED
    found = list(cpu_other_process(info, window, table, None, None))
    (hog,) = [f for f in found if f.subject.endswith("nightly_report.py")]
    stopped = {int(word) for word in hog.fixes[0].commands[0].split()[2:]}
    assert stopped == set(pids)
    assert os.getpid() not in stopped
    assert hog.explains["host.cpu"] >= 0.3


@contextmanager
def quota_of(share: float) -> Iterator[Path]:
    """A control group (v1) with that share of one core, or a skip that says why not."""
    group = V1 / f"scaledoctor-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group v1 can be made under {V1}: {error.strerror}")
    try:
        (group / "cpu.cfs_period_us").write_text("100000")
        (group / "cpu.cfs_quota_us").write_text(str(int(share * 100_000)))
        yield group
    finally:
        _soon(group.rmdir)


def _soon(remove: Callable[[], Any]) -> None:
    """A group can go when its last process has gone, which takes the kernel a moment."""
    for _ in range(50):
        try:
            remove()
        except OSError:
            time.sleep(0.1)
        else:
            return
    remove()


def test_a_quota_on_the_database_is_named(tmp_path: Path) -> None:
    """20 % of a core for a busy process called postgres: throttled in nearly every period."""
    program = tmp_path / "postgres"
    program.symlink_to(Path(sys.executable).resolve())
    if shutil.which(str(program)) is None:
        pytest.skip("the interpreter cannot run under another name")
    here = HostSession(Redactor())

    async def read() -> Cgroups:
        return await cgroups(here)

    with quota_of(0.2) as group, running([str(program), "-S", "-c", HOG]) as (pid,):
        (group / "cgroup.procs").write_text(str(pid))
        time.sleep(0.3)
        began = time.monotonic()
        first = asyncio.run(read())
        time.sleep(2.0)
        window = Window(((0.0, first), (time.monotonic() - began, asyncio.run(read()))))
    mine = [f for f in cpu_quota_throttled(window, None) if str(group) in f.subject]
    (found,) = mine
    assert found.subject == f"{group} (postgres)"
    assert float(found.evidence[0].value) > 0.8
    assert found.fixes[0].commands == (f"echo -1 > {group}/cpu.cfs_quota_us",)
    assert f"echo 20000 > {group}/cpu.cfs_quota_us" in found.fixes[0].undo
    (use,) = [u for u in cpu_quota(window) if u.subject == str(group)]
    assert use.state is State.SATURATED
