"""A real node_exporter: the same facts as this host's own source has of this very machine."""

import os
import socket
from contextlib import ExitStack

import pytest

from scaledoctor.collect import collect
from scaledoctor.demo.servers import PostgresServer
from scaledoctor.demo.servers.child import free_port
from scaledoctor.errors import ScaledoctorError, Unavailable
from scaledoctor.examine import _value, examine
from scaledoctor.needs import Need, Shape
from scaledoctor.redact import Redactor
from scaledoctor.sources._http import Answer as Reply
from scaledoctor.sources.host import HostInfo
from scaledoctor.sources.node_exporter import _machine
from scaledoctor.sources.node_exporter._series import Series
from scaledoctor.sources.node_exporter.probes import HIDDEN
from scaledoctor.sources.node_exporter.session import series
from scaledoctor.targets import targets
from tests.balancers import Seen, plugins, scan
from tests.machines import node_exporter
from tests.sources.pages import Answer, Asked, site

PAGE = """node_uname_info{nodename="db1",release="6.1",machine="x86_64"} 1
node_boot_time_seconds 1.7e+09
node_cpu_seconds_total{cpu="0",mode="idle"} 90
node_cpu_seconds_total{cpu="0",mode="user"} 7
node_cpu_seconds_total{cpu="0",mode="steal"} 2
node_cpu_seconds_total{cpu="1",mode="system"} 3
node_cpu_seconds_total{cpu="10",mode="iowait"} 1
node_procs_running 5
node_procs_blocked 1
node_memory_MemTotal_bytes 8e+09
node_memory_MemFree_bytes 1e+09
node_disk_reads_completed_total{device="sda"} 10
node_disk_reads_completed_total{device="dm-0"} 10
node_disk_writes_completed_total{device="sda"} 5
node_disk_write_time_seconds_total{device="sda"} 0.5
node_filesystem_size_bytes{device="/dev/sda1",fstype="ext4",mountpoint="/"} 100
node_filesystem_free_bytes{device="/dev/sda1",fstype="ext4",mountpoint="/"} 40
node_filesystem_avail_bytes{device="/dev/sda1",fstype="ext4",mountpoint="/"} 35
node_filesystem_size_bytes{device="/dev/sda1",fstype="ext4",mountpoint="/bound"} 100
node_filesystem_avail_bytes{device="/dev/sda1",fstype="ext4",mountpoint="/bound"} 35
node_filesystem_size_bytes{device="tmpfs",fstype="tmpfs",mountpoint="/run"} 9
node_filesystem_avail_bytes{device="tmpfs",fstype="tmpfs",mountpoint="/run"} 9
"""


def of(text: str) -> Series:
    return series(Reply(200, "text/plain", text))


def test_what_a_page_says() -> None:
    """Modes as in /proc/stat, cores by number, virtual devices and bound folders left out."""
    page = of(PAGE)
    info, cpu = _machine.info(page, "db1"), _machine.cpu_times(page)
    assert (info.cores, info.memory, info.machine, info.kernel) == (3, 8_000_000_000, "db1", "6.1")
    assert (cpu.busy, cpu.steal, cpu.iowait, cpu.cores) == (10.0, 2.0, 1.0, (7.0, 3.0, 0.0))
    assert (cpu.running, cpu.blocked, cpu.cpu_pressure) == (4, 1, None)
    memory = _machine.memory(page)
    assert (memory.available, memory.swap_total) == (1_000_000_000, 0)
    disks = _machine.disks(page, Redactor())
    assert [(d.name, d.requests, d.waited) for d in disks.devices] == [("sda", 15, 0.5)]
    assert [(m.path, m.used, m.available) for m in disks.mounts] == [("/", 60, 35)]


def test_a_collector_that_is_off_is_told() -> None:
    """Missing is not zero."""
    with pytest.raises(Unavailable, match="does not tell node_netstat_Tcp_OutSegs") as caught:
        _machine.network(of(PAGE))
    assert "--no-collector.netstat" in caught.value.enable
    with pytest.raises(Unavailable, match="not node_exporter's"):
        of("go_goroutines 8\n")


@pytest.fixture(scope="module")
def seen() -> Seen:
    """This machine by its own source and by a node_exporter, in one scan of two seconds."""
    with node_exporter() as port:
        found = targets({"node-exporter": (f"http://127.0.0.1:{port}",)}, {})
        snapshot = collect(found, plugins(), Redactor(), 2.0)
    return Seen(snapshot, examine(snapshot, plugins()))


@pytest.mark.live
def test_the_facts_are_those_of_this_machine(seen: Seen) -> None:
    """Two ways to read one kernel: sizes equal, counters apart by the time in between."""
    host, node = seen.snapshot.records
    assert node.reach.ok, node.reach
    (mine, theirs) = (r.samples["HostInfo"][-1][1] for r in (host, node))
    assert theirs.memory == mine.memory
    assert theirs.cores == mine.logical
    assert theirs.machine == os.uname().nodename
    (mine, theirs) = (r.samples["Memory"][-1][1] for r in (host, node))
    assert theirs.available == pytest.approx(mine.available, rel=0.2)
    (mine, theirs) = (r.samples["Disks"][-1][1] for r in (host, node))
    assert [d.name for d in theirs.devices] == [d.name for d in mine.devices]
    assert [m.path for m in theirs.mounts] == [m.path for m in mine.mounts]
    (mine, theirs) = (r.samples["Network"][-1][1] for r in (host, node))
    assert theirs.sent == pytest.approx(mine.sent, rel=0.2)
    assert {i.name for i in theirs.interfaces} == {i.name for i in mine.interfaces}
    assert theirs.tracked_limit == mine.tracked_limit


@pytest.mark.live
def test_busy_cores_are_the_same_over_the_window(seen: Seen) -> None:
    """The resource host.cpu of both targets, over windows that differ by a few hundred ms."""
    uses = [u for u in seen.examination.uses if u.resource == "host.cpu"]
    assert [u.target for u in uses] == ["host", "node-exporter:127.0.0.1"]
    assert [u.subject for u in uses] == ["", os.uname().nodename]
    assert uses[0].used == pytest.approx(uses[1].used, abs=0.8)


@pytest.mark.live
def test_what_it_does_not_tell_is_skipped_and_never_fine(seen: Seen) -> None:
    """Processes, groups and sockets: each check that needs them says so."""
    assert HIDDEN in seen.reasons()
    skipped = {s.what for s in seen.examination.skips if s.reason == HIDDEN}
    assert {"host.cpu-other-process", "host.cpu-application", "host.cpu-quota-throttled"} <= skipped
    assert not {"host.cpu", "host.memory", "host.disk-space-low", "host.steal"} & skipped


@pytest.mark.live
def test_it_is_asked_a_few_times_only(seen: Seen) -> None:
    """One page serves all facts of a moment; the first one was read when connecting."""
    node = seen.snapshot.records[1]
    assert sum(c.calls for c in node.costs.values()) <= 4


@pytest.mark.live
def test_this_machine_is_known_through_a_loopback(seen: Seen) -> None:
    """By name and boot time; a tunnel to another one would not be."""
    assert seen.snapshot.records[1].reach.machines[0] == "localhost"


@pytest.mark.live
def test_without_its_collectors_it_tells_what_is_missing() -> None:
    """Each fact by itself: what is there is still judged."""
    with node_exporter("--no-collector.netstat", "--no-collector.diskstats") as port:
        found = scan(0, node_exporter=f"http://127.0.0.1:{port}")
    assert any("node_netstat_Tcp_OutSegs" in reason for reason in found.reasons())
    assert found.fact("Memory").total > 0
    assert found.fact("Disks").devices == ()


def page(asked: Asked, count: int) -> Answer:
    kinds = {
        "html": Answer(200, {"Content-Type": "text/html"}, b"<!DOCTYPE html><title>x</title>"),
        "json": Answer(200, {}, b'{"a": 1}'),
        "other": Answer(200, {}, b"go_goroutines 8\n"),
        "wanted": Answer(401, {}, b"hush"),
        "gone": Answer(404, {}, b"hush"),
    }
    return kinds[asked.path.strip("/")]


@pytest.mark.parametrize(
    ("path", "category", "message"),
    [
        ("html", "answer", "what answers is an HTML page, no metrics"),
        ("json", "answer", "what answers are no metrics in Prometheus' text format"),
        ("other", "answer", "these are metrics, but not node_exporter's"),
        ("wanted", "auth", "refused with HTTP 401"),
        ("gone", "answer", "/gone answers HTTP 404"),
        ("silent", "timeout", "no answer within 3 s"),
        ("closed", "refused", ""),
    ],
)
def test_whatever_else_answers_gives_one_line(path: str, category: str, message: str) -> None:
    with ExitStack() as stack:
        if path == "silent":
            silent = stack.enter_context(socket.create_server(("127.0.0.1", free_port())))
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/metrics"
        elif path == "closed":
            url = f"http://127.0.0.1:{free_port()}"
        else:
            url = stack.enter_context(site(page)).url(f"/{path}")
        found = scan(0, node_exporter=url)
    (record,) = found.snapshot.records
    assert (record.reach.ok, record.reach.category) == (False, category)
    assert record.reach.message.startswith(message)
    assert record.reach.enable or category == "timeout"
    assert "hush" not in str(record)


@pytest.mark.parametrize(
    ("option", "url"),
    [
        ("node-exporter", "db1:9100"),
        ("node-exporter", "http://user:p/ss@db1:9100"),
        ("prometheus", "http://db1:9090?host=x"),
        ("prometheus", "http://db1:9090?instance="),
        ("prometheus", "http://db1:9090?minutes=0"),
        ("prometheus", "http://db1:9090?minutes=99999"),
    ],
)
def test_urls_that_cannot_be_used(option: str, url: str) -> None:
    """One line that names the option and repeats nothing."""
    with pytest.raises(ScaledoctorError) as caught:
        targets({option: (url,)}, {})
    assert str(caught.value).startswith(f"--{option}")
    assert "p/ss" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.live
@pytest.mark.skipif(os.geteuid() != 0, reason="a machine of another name takes root")
def test_a_database_is_judged_on_the_machine_that_its_name_says(shop: PostgresServer) -> None:
    """The exporter tells another name than ours, the DSN the same: they belong together."""
    dsn = f"host=db1 hostaddr=127.0.0.1 port={shop.port} user=watcher dbname=shop"
    with node_exporter(name="db1") as port:
        given = {"dsn": (dsn,), "node-exporter": (f"http://127.0.0.1:{port}",)}
        snapshot = collect(targets(given, {}), plugins(), Redactor(), 1.0)
    host, database, exporter = snapshot.records
    assert exporter.reach.machines == ("db1",)
    wanted = Need("info", HostInfo, Shape.LATEST, optional=False)
    info = _value(wanted, database, snapshot, plugins())
    assert isinstance(info, HostInfo)
    assert info.machine == "db1"
    assert host.samples["HostInfo"][-1][1].machine == ""
