"""What the probes of this host read: real files of this machine."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from scaledoctor.sdk import Probe, Redactor, Unavailable, Window
from scaledoctor.sources.host import CpuTimes, Processes, cores_by_label
from scaledoctor.sources.host._labels import label
from scaledoctor.sources.host.cgroups import cgroups
from scaledoctor.sources.host.cpu import cpu_times
from scaledoctor.sources.host.disks import disks
from scaledoctor.sources.host.info import host_info
from scaledoctor.sources.host.listeners import listeners
from scaledoctor.sources.host.memory import memory
from scaledoctor.sources.host.network import network
from scaledoctor.sources.host.ports import ports
from scaledoctor.sources.host.processes import processes
from scaledoctor.sources.host.session import HostSession, host, number, required, text
from scaledoctor.sources.host.titles import _TITLE, postgres_titles
from scaledoctor.targets import HOST

T = TypeVar("T")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the host is read through /proc")

PROBES: Sequence[Probe[..., Any]] = (
    host_info, cpu_times, processes, memory, disks, cgroups, postgres_titles, network, listeners,
    ports,
)  # fmt: skip


def session() -> HostSession:
    return HostSession(Redactor())


def read(probe: Probe[..., T]) -> T:
    """One reading in a session of its own."""

    async def once() -> T:
        return await probe(session())

    return asyncio.run(once())


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: p.gives.__name__)
def test_every_fact_survives_json(probe: Probe[..., Any]) -> None:
    """Read twice, as at both edges; no infinity, no type that JSON has not."""
    here = session()

    async def twice() -> tuple[Any, Any]:
        return await probe(here), await probe(here)

    for given in asyncio.run(twice()):
        assert isinstance(given, probe.gives)
        text_form = msgspec.json.decode(msgspec.json.encode(given))
        again: object = msgspec.convert(text_form, probe.gives)
        assert again == given


def test_the_session_opens_on_this_machine() -> None:
    """It carries the redactor that it was given."""
    redactor = Redactor()

    async def opened() -> HostSession:
        async with host.function(HOST, redactor) as found:
            return found

    assert asyncio.run(opened()).redactor is redactor


def test_the_size_of_the_machine() -> None:
    """Cores as the scheduler gives them to us; memory as the system counts it."""
    info = read(host_info)
    assert info.cores == len(os.sched_getaffinity(0))
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert info.memory == pytest.approx(pages, rel=0.02)
    assert info.pid == os.getpid()
    assert info.booted is not None
    assert info.booted > 1e9


def test_time_adds_up() -> None:
    """Busy, waiting, stolen and idle cores together are the cores."""
    here = session()

    async def both() -> Window[CpuTimes]:
        first = await cpu_times(here)
        await asyncio.sleep(1.0)
        return Window(((0.0, first), (1.0, await cpu_times(here))))

    window = asyncio.run(both())
    total = window.rate(lambda c: c.busy + c.iowait + c.steal + c.idle)
    assert total == pytest.approx(len(os.sched_getaffinity(0)), rel=0.15)


def test_memory_and_disks_hold_together() -> None:
    """Available is part of the total; a file system's parts fit in it."""
    now = read(memory)
    assert 0 < now.available <= now.total
    storage = read(disks)
    for mount in storage.mounts:
        assert Path(mount.path).is_dir()
        assert 0 <= mount.used + mount.available <= mount.total


def test_a_missing_file_is_told() -> None:
    """Optional ones are None; a fact that cannot be had at all says why."""
    nowhere = Path("/proc/no-such-file")
    assert text(nowhere) is None
    assert number(nowhere) is None
    with pytest.raises(Unavailable, match="no-such-file cannot be read"):
        required(nowhere)


def test_our_own_process_is_marked_and_children_are_not() -> None:
    """Ourselves once; a busy child is another program, seen by its CPU."""
    here = session()
    code = "import time\nend = time.monotonic() + 3\nwhile time.monotonic() < end: pass"
    child = subprocess.Popen([sys.executable, "-c", code])
    try:

        async def both() -> Window[Processes]:
            first = await processes(here)
            await asyncio.sleep(1.0)
            return Window(((0.0, first), (1.0, await processes(here))))

        window = asyncio.run(both())
    finally:
        child.kill()
        child.wait()
    last = {p.pid: p for p in window.last.processes}
    assert [p.pid for p in window.last.processes if p.own] == [os.getpid()]
    assert last[child.pid].parent == os.getpid()
    assert last[child.pid].peers == ()
    assert last[child.pid].label.endswith(" -c")
    assert (last[child.pid].hottest or 0.0) > 0.1
    assert cores_by_label(window)[last[child.pid].label] > 0.1
    assert 2 not in last, "kernel threads are left out"


@pytest.mark.parametrize(
    ("name", "command", "shown"),
    [
        ("stress", "stress --cpu 4 --token abc", "stress"),
        ("python3", "python3 -X dev /srv/app.py --password hunter2", "python3 app.py"),
        ("python3.12", "python3.12 -m gunicorn app:app", "python3.12 -m gunicorn"),
        ("python", "python -c secret=1", "python -c"),
        ("node", "node --max-old-space-size=99 server.js", "node server.js"),
        ("java", "java -Dkey=x -cp /lib/a.jar -jar /srv/shop.jar run", "java -jar shop.jar"),
        ("python3", "python3", "python3"),
        ("bash", "bash https://user:pw@example.org/x.sh", "bash"),
        ("postgres", "postgres: shop shop 10.0.0.1(5) idle", "postgres"),
    ],
)
def test_labels_hold_no_arguments(name: str, command: str, shown: str) -> None:
    """Program, script or module; never what follows."""
    assert label(name, command.split(" ")).strip() == shown


@pytest.mark.parametrize(
    ("title", "state"),
    [
        ("postgres: shop db1 10.0.0.7(51234) idle", "idle"),
        ("postgres: shop db1 ::1(51234) idle in transaction", "idle in transaction"),
        ("postgres: main: shop db1 [local] SELECT waiting", "SELECT waiting"),
        ("postgres: 15/main: shop db1 app.example.org(9) UPDATE", "UPDATE"),
        ("postgres: checkpointer ", None),
        ("postgres: main: autovacuum worker db1", None),
        ("postgres: walsender repl 10.0.0.7(51234) streaming 0/3000148", None),
        ("postgres: logical replication apply worker for subscription 16400", None),
        ("postgres: parallel worker for PID 77 ", None),
    ],
)
def test_titles_of_client_backends(title: str, state: str | None) -> None:
    """Every form that PostgreSQL writes; background processes are no clients."""
    match = _TITLE.fullmatch(title)
    assert (match and match["state"]) == state
    assert match is None or (match["user"], match["database"]) == ("shop", "db1")
