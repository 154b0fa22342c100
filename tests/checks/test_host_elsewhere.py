"""A database on another machine, whose cores something else has, on plain facts."""

from dataclasses import replace

import pytest

from scaledoctor.sdk import Confidence, Severity, Unavailable, Window
from scaledoctor.sources.host import CpuTimes, HostInfo
from scaledoctor.sources.postgres import Activity
from scaledoctor.sources.postgres.roundtrip import RoundTrip
from scaledoctor_checks.host.database_machine import database_machine
from tests.checks.pg_facts import SERVER, active, still

HERE = HostInfo(2, 8 << 30, container=False)
THERE = replace(HERE, machine="db1")


def busy(cores: float, running: int) -> Window[CpuTimes]:
    first = CpuTimes(0.0, 0.0, 0.0, 0.0, (), running, 0, None, None, None)
    return Window(((0.0, first), (10.0, replace(first, busy=10 * cores))))


def trips(lost: float, network: float | None = 0.0002, count: int = 5) -> Window[RoundTrip]:
    took = lost + 0.0001 + (network or 0.0) + 0.001
    return Window.of(*[RoundTrip(took, 0.0001, network, 0.001)] * count)


def sessions(computing: int) -> Window[Activity]:
    return still(*(active(pid) for pid in range(1, computing + 1)))


@pytest.mark.parametrize(
    ("cores", "running", "computing", "fires"),
    [
        (2.0, 8, 0, True),
        (2.0, 8, 3, True),
        (2.0, 8, 4, False),
        (1.7, 8, 0, False),
        (2.0, 3, 0, False),
    ],
)
def test_cores_that_are_not_the_databases(
    cores: float, running: int, computing: int, fires: bool
) -> None:
    """All full with a queue, and less than half of them are its own sessions'."""
    found = list(database_machine(SERVER, None, sessions(computing), THERE, busy(cores, running)))
    assert bool(found) is fires
    if fires:
        assert found[0].subject == "other programs on db1"
        assert found[0].explains["host.cpu:db1"] > 0.5
    local = replace(SERVER, local=True)
    assert list(database_machine(local, None, sessions(0), HERE, busy(cores, running))) == []


@pytest.mark.parametrize(
    ("lost", "network", "fires"),
    [
        (0.0049, 0.0002, False),
        (0.0051, 0.0002, True),
        (0.0051, None, True),
        (0.019, 0.02, False),
        (0.021, 0.02, True),
    ],
)
def test_an_answer_that_comes_late(lost: float, network: float | None, fires: bool) -> None:
    """By 5 ms, and by more than the way takes; which machine is to blame stays open."""
    found = list(database_machine(SERVER, trips(lost, network), None, HERE, None))
    assert [(f.severity, f.confidence) for f in found] == (
        [(Severity.MEDIUM, Confidence.LOW)] if fires else []
    )


def test_our_own_waiting_is_not_the_servers() -> None:
    """A busy machine of ours makes every answer late for us."""
    waited = RoundTrip(0.050, 0.0001, 0.0002, 0.049)
    assert waited.lost == pytest.approx(0.0007)
    assert list(database_machine(SERVER, Window.of(*[waited] * 5), None, None, None)) == []


@pytest.mark.parametrize("seen", [None, trips(0.1, count=3)])
def test_neither_machine_nor_round_trips(seen: Window[RoundTrip] | None) -> None:
    """Then nothing can be said, and how to see it is."""
    with pytest.raises(Unavailable, match="neither its machine nor the time") as caught:
        list(database_machine(SERVER, seen, None, HERE, None))
    assert "--node-exporter" in caught.value.enable
