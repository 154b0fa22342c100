"""Whose machine's facts a target is given: those of the machine that it runs on."""

from datetime import UTC, datetime

import pytest

from scaledoctor.examine import _value, examine
from scaledoctor.needs import Need, Shape
from scaledoctor.registry import load
from scaledoctor.snapshot import Record, Snapshot
from scaledoctor.sources.host import HostInfo, Memory, Processes
from scaledoctor.targets import HOST, Reach, Target, targets

REGISTRY = load()
OURS = Record(
    "host", "host", "this machine", False,
    Reach(True, 0.0, machine="localhost", machines=("localhost",)),
    {"HostInfo": ((0.0, HostInfo(2, 1, False)),), "Processes": ((0.0, Processes(())),)},
)  # fmt: skip


def node(name: str, *machines: str) -> Record:
    """A machine by its node_exporter, under these names."""
    reach = Reach(True, 0.0, machine="10.0.0.5", machines=machines)
    facts = {"HostInfo": ((0.0, HostInfo(64, 1, False, machine=name)),)}
    return Record(f"node-exporter:{name}", "node-exporter", "", True, reach, facts)


def given(fact: type, machine: str, *records: Record) -> object:
    """What a check on a database on that machine is handed; None when nothing is."""
    database = Record("postgres", "postgres", "", True, Reach(True, 0.0, machine=machine), {})
    snapshot = Snapshot(1, "", datetime.now(UTC), 1.0, 1.0, (*records, database))
    return _value(Need("x", fact, Shape.LATEST, optional=True), database, snapshot, REGISTRY)


@pytest.mark.parametrize(
    ("machine", "cores"),
    [("localhost", 2), ("db1", 64), ("10.0.0.5", 64), ("db2", 2), ("", 2)],
)
def test_the_machine_that_it_runs_on_else_ours(machine: str, cores: int) -> None:
    """Ours is what a check is given for want of the right one: it looks whether that is local."""
    info = given(HostInfo, machine, OURS, node("db1", "10.0.0.5", "db1"))
    assert isinstance(info, HostInfo)
    assert info.cores == cores


def test_machines_are_not_mixed() -> None:
    """The cores of one and the processes of another would make a wrong picture."""
    there = node("db1", "db1")
    assert given(Processes, "db1", OURS, there) is None
    assert given(Processes, "localhost", OURS, there) == Processes(())


def test_another_machine_alone_is_nobody_elses() -> None:
    """Where this one cannot be read, a stranger is not taken in its place."""
    assert given(HostInfo, "db2", node("db1", "db1")) is None


def test_our_own_source_tells_more_than_an_exporter_here() -> None:
    """The exporter of this very machine, reached by its name."""
    info = given(HostInfo, "vm", OURS, node("vm", "localhost", "vm"))
    assert isinstance(info, HostInfo)
    assert info.machine == ""


@pytest.mark.parametrize(
    ("option", "url", "machine"),
    [
        ("dsn", "postgresql://db1:5433/shop", "db1"),
        ("dsn", "postgresql://u:secret@10.0.0.5/shop", "10.0.0.5"),
        ("dsn", "host=/run/postgresql dbname=shop", "localhost"),
        ("dsn", "host=db1,db2 dbname=shop", ""),
        ("dsn", "postgresql://127.0.0.1/shop", "localhost"),
        ("redis", "redis://cache:6379/0", "cache"),
        ("redis", "redis+sentinel://s1:26379/main", ""),
        ("haproxy", "unix:/run/haproxy.sock", "localhost"),
        ("haproxy", "tcp://lb:9999", "lb"),
        ("nginx", "http://[2001:db8::1]/status", "2001:db8::1"),
    ],
)
def test_the_machine_of_a_target(option: str, url: str, machine: str) -> None:
    """By its address; of several hosts, and behind a sentinel, it is not known."""
    found: list[Target] = [t for t in targets({option: (url,)}, {}) if t is not HOST]
    assert [t.machine for t in found] == [machine]
    assert HOST.machine == "localhost"


def test_those_that_tell_about_a_machine_know_the_others() -> None:
    given = {"dsn": ("postgresql://db1/shop",), "node-exporter": ("http://10.0.0.5:9100",)}
    _, database, exporter = targets(given, {})
    assert (database.names, exporter.names) == ((), ("db1",))
    assert exporter.name == "node-exporter:10.0.0.5"


@pytest.mark.parametrize(("names", "shown"), [(("db1", "10.0.0.5"), "db1: "), (("localhost",), "")])
def test_a_finding_says_which_machine_it_is_about(names: tuple[str, ...], shown: str) -> None:
    """The first of its names; ours needs none."""
    full = (0.0, Memory(100, 1, 0, 0, 0, 0))
    record = Record("node-exporter:x", "node-exporter", "", True,
                    Reach(True, 0.0, machines=names), {"Memory": (full,)})  # fmt: skip
    seen = examine(Snapshot(1, "", datetime.now(UTC), 1.0, 1.0, (record,)), REGISTRY)
    (found,) = [f for f in seen.findings if f.check == "host.memory-pressure"]
    assert found.summary.startswith(f"{shown}1% of memory is available")
