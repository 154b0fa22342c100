"""Network, accept queues, ports and open files on plain facts, at each threshold's edge."""

from dataclasses import replace

import pytest

from scaledoctor.sdk import Kind, Severity, State, Unavailable, Window
from scaledoctor.sources.host import (
    Destination,
    FileUse,
    Interface,
    Listener,
    Listeners,
    Network,
    OpenFiles,
    Ports,
    Process,
    Processes,
)
from scaledoctor_checks.host.accept_queue import accept_queue
from scaledoctor_checks.host.files import open_files, open_files_limit
from scaledoctor_checks.host.network import (
    conntrack,
    conntrack_full,
    packet_drops,
    retransmissions,
)
from scaledoctor_checks.host.ports import ephemeral_ports, port_at_risk, ports_exhausted

SECONDS = 10.0
QUIET = Network(1000, 0, 0, (Interface("eth0", 1000, 0, 0),))


def over(**grown: int) -> Window[Network]:
    """Ten seconds in which these counters grew by so much."""
    last = replace(QUIET, **{name: getattr(QUIET, name) + by for name, by in grown.items()})
    return Window(((0.0, QUIET), (SECONDS, last)))


@pytest.mark.parametrize(
    ("sent", "resent", "severity"),
    [
        (999, 500, None),
        (100_000, 999, None),
        (1_000, 10, Severity.MEDIUM),
        (1_000, 49, Severity.MEDIUM),
        (1_000, 50, Severity.HIGH),
    ],
)
def test_segments_sent_again(sent: int, resent: int, severity: Severity | None) -> None:
    """1 and 5 % of a thousand or more."""
    found = list(retransmissions(over(sent=sent, resent=resent)))
    assert [f.severity for f in found] == ([severity] if severity else [])
    assert list(retransmissions(Window(over(sent=sent, resent=resent).samples[:1]))) == []


@pytest.mark.parametrize(
    ("packets", "dropped", "errors", "fires"),
    [
        (100_000, 101, 0, True),
        (100_000, 100, 0, False),
        (1_000_000, 900, 0, False),
        (10_000, 0, 101, True),
        (100_000, 0, 500, False),
        (0, 0, 0, False),
    ],
)
def test_packets_that_an_interface_drops(
    packets: int, dropped: int, errors: int, fires: bool
) -> None:
    """More than a hundred and more than a thousandth; broken ones more than 1 %."""
    last = replace(QUIET, interfaces=(Interface("eth0", 1000 + packets, dropped, errors),))
    found = list(packet_drops(Window(((0.0, QUIET), (SECONDS, last)))))
    assert [f.subject for f in found] == (["eth0"] if fires else [])


@pytest.mark.parametrize(("dropped", "fires"), [(99, False), (100, True)])
def test_packets_that_no_core_takes(dropped: int, fires: bool) -> None:
    found = list(packet_drops(over(backlog_drops=dropped)))
    assert [f.subject for f in found] == (["softnet"] if fires else [])


@pytest.mark.parametrize(
    ("entries", "severity", "kind", "state"),
    [
        (749, None, None, State.OK),
        (799, None, None, State.BUSY),
        (800, Severity.MEDIUM, Kind.RISK, State.BUSY),
        (950, Severity.CRITICAL, Kind.LIVE, State.SATURATED),
    ],
)
def test_tracked_connections(
    entries: int, severity: Severity | None, kind: Kind | None, state: State
) -> None:
    now = replace(QUIET, tracked=entries, tracked_limit=1000)
    found = list(conntrack_full(now))
    assert [(f.severity, f.kind) for f in found] == ([(severity, kind)] if severity else [])
    use = conntrack(now)
    assert use is not None
    assert use.state is state


def test_without_connection_tracking_nothing_is_said() -> None:
    assert list(conntrack_full(QUIET)) == []
    assert conntrack(QUIET) is None


def doors(*queues: int, backlog: int = 4, label: str = "gunicorn") -> Window[Listeners]:
    """One socket, looked at once a second; those without a queue are not told."""
    return Window.of(
        *(
            Listeners((Listener("0.0.0.0", 8000, q, backlog, label),) if q else ())  # noqa: S104  a plain fact
            for q in queues
        ),
        every=1.0,
    )


@pytest.mark.parametrize(
    ("queues", "lost", "severity"),
    [
        ((5, 5, 5, 5), 0, Severity.HIGH),
        ((4, 4, 0, 0), 0, Severity.HIGH),
        ((5, 5, 5, 5), 50, Severity.CRITICAL),
        ((5, 0, 0, 0), 0, None),
        ((3, 3, 3, 3), 0, None),
        ((0, 0, 0, 0), 0, None),
        ((5,), 0, None),
    ],
)
def test_a_door_that_is_full(queues: tuple[int, ...], lost: int, severity: Severity | None) -> None:
    """At its backlog in half of the looks; a burst that is taken is none."""
    found = list(accept_queue(doors(*queues), over(overflows=lost)))
    assert [f.severity for f in found] == ([severity] if severity else [])
    if severity:
        assert found[0].subject == "gunicorn, port 8000"
        assert len(found[0].fixes) == 2, "workers, and the small backlog"


@pytest.mark.parametrize(
    ("lost", "severity"), [(9, None), (10, Severity.MEDIUM), (50, Severity.HIGH)]
)
def test_connections_lost_at_a_door_that_was_not_seen(lost: int, severity: Severity | None) -> None:
    """One and five per second, as where only a node_exporter tells."""
    found = list(accept_queue(None, over(overflows=lost)))
    assert [f.severity for f in found] == ([severity] if severity else [])


def test_a_large_backlog_is_not_to_blame() -> None:
    """Only more workers empty it; whose it is may be hidden."""
    (found,) = accept_queue(doors(600, 600, backlog=511, label=""), over())
    assert found.subject == "a hidden process, port 8000"
    assert len(found.fixes) == 1


def ports(used: int, waiting: int) -> Ports:
    """A range of a thousand."""
    return Ports(33_000, 33_999, (Destination("10.0.0.5", 5432, used, waiting),))


@pytest.mark.parametrize(
    ("used", "waiting", "severity", "state"),
    [
        (10, 589, None, State.OK),
        (10, 590, Severity.MEDIUM, State.BUSY),
        (100, 699, Severity.MEDIUM, State.BUSY),
        (0, 800, Severity.CRITICAL, State.SATURATED),
        (800, 0, Severity.CRITICAL, State.SATURATED),
    ],
)
def test_ports_to_one_destination(
    used: int, waiting: int, severity: Severity | None, state: State
) -> None:
    found = list(ports_exhausted(ports(used, waiting)))
    assert [f.severity for f in found] == ([severity] if severity else [])
    assert all(f.kind is (Kind.LIVE if f.severity > 30 else Kind.RISK) for f in found)
    use = ephemeral_ports(ports(used, waiting))
    assert use is not None
    assert use.state is state


def test_thousands_in_time_wait_alone_are_fine() -> None:
    """Each destination has the whole range to itself."""
    many = tuple(Destination(f"10.0.0.{i}", 443, 5, 5_000) for i in range(10))
    assert list(ports_exhausted(Ports(32_768, 60_999, many))) == []
    assert ephemeral_ports(Ports(32_768, 60_999)) is None


def process(pid: int, label: str, *peers: int) -> Process:
    return Process(pid, label, cpu=0.0, waited=None, own=False, peers=peers)


def test_a_service_inside_the_range() -> None:
    """Databases, and who is asked by the service; others take any free port on purpose."""
    table = Processes((process(8, "nginx", 40_001), process(9, "node app.js", 5432)))
    inside = ((40_001, "node app.js"), (40_002, "node app.js"), (40_003, ""), (54_320, "postgres"))
    now = Ports(32_768, 60_999, inside=inside)
    found = list(port_at_risk(now, table))
    assert [f.subject for f in found] == ["node app.js, port 40001", "postgres, port 54320"]
    assert {f.kind for f in found} == {Kind.RISK}
    assert list(port_at_risk(replace(now, inside=()), table)) == []


def files(used: int, limit: int = 1000, system: int = 10, seen: int | None = 1) -> OpenFiles:
    return OpenFiles(system, 100, (FileUse(7, "haproxy", used, limit),), seen)


@pytest.mark.parametrize(
    ("used", "severity", "kind"),
    [
        (799, None, None),
        (800, Severity.MEDIUM, Kind.RISK),
        (949, Severity.MEDIUM, Kind.RISK),
        (950, Severity.CRITICAL, Kind.LIVE),
    ],
)
def test_files_of_a_process(used: int, severity: Severity | None, kind: Kind | None) -> None:
    found = list(open_files_limit(files(used)))
    assert [(f.severity, f.kind) for f in found] == ([(severity, kind)] if severity else [])


@pytest.mark.parametrize(
    ("used", "fires", "state"),
    [(69, False, State.OK), (89, False, State.BUSY), (90, True, State.SATURATED)],
)
def test_files_of_the_system(used: int, fires: bool, state: State) -> None:
    found = list(open_files_limit(files(1, system=used)))
    assert [f.subject for f in found] == (["fs.file-max"] if fires else [])
    use = open_files(files(1, system=used))
    assert use is not None
    assert use.state is state


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (OpenFiles(1, 100), "no process is told of"),
        (OpenFiles(1, 100, (), 3, 40), "the open files of 40 processes are not ours to see"),
    ],
)
def test_hidden_files_are_no_good_news(now: OpenFiles, reason: str) -> None:
    with pytest.raises(Unavailable, match=reason):
        list(open_files_limit(now))
