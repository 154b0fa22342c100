"""Uneven spreads: by hash, by persistence, by forgotten weights; and the many that are fine."""

from typing import Any

import pytest

from scaledoctor.sdk import Confidence, Severity
from scaledoctor.sources.haproxy_cfg import HaproxyCfg, parse
from scaledoctor_checks.balancing._balance import Member, by_work, laggards
from scaledoctor_checks.balancing.haproxy_placing import leftover_weight, persistence
from scaledoctor_checks.balancing.haproxy_spread import uneven
from tests.checks.haproxy_facts import Server, seen, server
from tests.checks.pg_facts import only

CFG = "backend app\n  balance {}\n  server s1 10.0.0.1:80\n  server s2 10.0.0.2:80\n"


def written(algorithm: str) -> HaproxyCfg:
    return parse(CFG.format(algorithm), "haproxy.cfg")


def split(*requests: int, in_hand: tuple[float, ...] = (), **changes: Any) -> list[Server]:
    return [
        server(f"s{i}", n, in_hand[i - 1] if in_hand else 0.1, **changes)
        for i, n in enumerate(requests, 1)
    ]


@pytest.mark.parametrize(
    "servers",
    [
        split(9, 3),
        split(500, 510, 490),
        [*split(500, 500), server("s3", 0, 0.0, status="MAINT")],
        [*split(500, 500), server("s3", 100, 0.1, status="DRAIN")],
        [*split(500, 500), server("s3", 20, 0.1, since=3)],
        [*split(500, 500), server("s3", 0, 0.0, backup=True)],
        [*split(500, 500), server("s3", 100, 0.1, slow_start=True)],
        [server("s1", 900, weight=3), server("s2", 300, weight=1)],
    ],
    ids=["12 requests 9:3", "even", "maintenance", "draining", "came up 3 s ago", "backup",
         "slow start", "as weighted"],
)  # fmt: skip
def test_fair_spreads_are_quiet(servers: list[Server]) -> None:
    assert not list(uneven(*seen(*servers), None))


def test_an_uneven_spread_without_effect_is_low() -> None:
    found = only(list(uneven(*seen(*split(900, 300)), None)))
    assert (found.subject, found.severity) == ("app", Severity.LOW)
    assert "s1 of backend app gets 75% of the requests, its weight says 50%" in found.summary


@pytest.mark.parametrize(("requests", "fires"), [((150, 50), True), ((149, 50), False)])
def test_a_hundred_requests_a_server(requests: tuple[int, int], fires: bool) -> None:
    assert bool(list(uneven(*seen(*split(*requests)), None))) is fires


@pytest.mark.parametrize(
    ("in_hand", "severity"),
    [(13.0, Severity.HIGH), (5.9, Severity.HIGH), (4.4, Severity.LOW)],
    ids=["4.3 times as slow", "twice", "1.47 times"],
)
def test_the_loaded_servers_slowness_is_the_cost(in_hand: float, severity: Severity) -> None:
    """s1 has three times the requests of s2; at s2's speed it would have 3 in hand."""
    servers = split(900, 300, in_hand=(in_hand, 1.0))
    found = only(list(uneven(*seen(*servers, algorithm="source"), None)))
    assert found.severity is severity
    if severity is Severity.HIGH:
        # Means of whole numbers over the samples are not exact.
        assert found.impact == pytest.approx((in_hand - 3) / (in_hand + 1), abs=0.03)
        assert found.explains["haproxy.backend:app"] == pytest.approx(found.impact, abs=0.01)
        assert found.confidence is Confidence.HIGH


def test_of_two_that_get_too_much_the_fuller_one_is_hot() -> None:
    """s2 gets a few more requests, and it is s1 where they pile up; s3 gets none."""
    servers = split(490, 500, 0, in_hand=(18.0, 6.0, 0.0), placed=0)
    found = only(list(uneven(*seen(*servers), None)))
    assert found.summary.startswith("s1 of backend app")
    assert found.severity is Severity.HIGH


def test_a_hash_that_starves_others_gets_two_ways_out() -> None:
    """Everybody comes from one address: all on s1, with 6 in hand, while s2 idles."""
    servers = split(1000, 0, in_hand=(6.0, 0.0))
    found = only(list(uneven(*seen(*servers, algorithm="source"), None)))
    assert (found.severity, found.confidence) == (Severity.MEDIUM, Confidence.MEDIUM)
    assert "balance source gives" in found.summary
    assert [fix.commands[1] for fix in found.fixes] == ["balance leastconn",
                                                         "hash-type consistent"]  # fmt: skip
    assert found.fixes[0].undo == "balance source, and reload"


def test_the_file_tells_the_algorithm_where_the_socket_does_not() -> None:
    servers = split(1000, 0, in_hand=(6.0, 0.0))
    found = only(list(uneven(*seen(*servers), written("source"))))
    assert "balance source gives" in found.summary


def test_persistence_without_effect_is_information() -> None:
    """Nothing was placed by the algorithm; the intended cookie is told with its price."""
    servers = split(900, 300, placed=0)
    found = only(list(uneven(*seen(*servers), None)))
    assert found.severity is Severity.INFO
    assert "clients stick to their server" in found.summary
    told = only(list(persistence(*seen(*servers), None)))
    assert told.severity is Severity.INFO
    assert "as configured" not in told.summary
    for line in ("cookie SRV insert", "stick on src"):
        cfg = parse(f"backend app\n  {line}\n", "haproxy.cfg")
        assert ", as configured:" in only(list(persistence(*seen(*servers), cfg))).summary
    queued = seen(*split(900, 300, in_hand=(13.0, 1.0), placed=0), waiting=2.0)
    assert "clients stick" in only(list(uneven(*queued, cfg))).summary
    assert "clients stick" not in only(list(uneven(*queued, None))).summary
    hot = split(900, 300, in_hand=(13.0, 1.0), placed=0)
    assert only(list(uneven(*seen(*hot), None))).severity is Severity.HIGH


@pytest.mark.parametrize(
    ("placed", "waiting", "fires"),
    [(80, 0.0, True), (81, 0.0, False), (0, 2.0, False)],
    ids=["a fifth", "less", "a queue places too"],
)
def test_persistence_is_what_the_algorithm_did_not_place(
    placed: int, waiting: float, fires: bool
) -> None:
    stats, now = seen(*split(100, 100, placed=placed), waiting=waiting)
    assert bool(list(persistence(stats, now, None))) is fires
    assert not list(persistence(*seen(*split(49, 50, placed=0)), None))


def test_uneven_counts_are_what_least_connections_are_for() -> None:
    """The work is even: 10 in hand each, s2 at little more than half the speed."""
    servers = split(1300, 700, in_hand=(10.0, 10.0))
    assert not list(uneven(*seen(*servers, algorithm="leastconn"), None))
    assert not list(uneven(*seen(*servers), written("leastconn")))
    assert not list(uneven(*seen(*servers), None))
    assert list(uneven(*seen(*servers, algorithm="roundrobin"), None))


def test_least_connections_are_tested_by_work() -> None:
    """Three quarters of what is in hand sits at s1."""
    servers = split(1700, 1000, in_hand=(16.0, 5.0))
    found = only(list(uneven(*seen(*servers, algorithm="leastconn"), None)))
    assert found.subject == "app"
    even = split(1700, 1000, in_hand=(12.0, 8.0))
    assert not list(uneven(*seen(*even, algorithm="leastconn"), None))


def test_requests_that_go_around_a_slow_server_are_no_imbalance() -> None:
    """Its maxconn is taken, so it gets less: the slow server is the finding."""
    servers = split(1000, 1000, 100, in_hand=(1.0, 1.0, 3.0))
    assert not list(uneven(*seen(*servers), None))


def test_a_weight_left_behind() -> None:
    """A tenth of the others' weight; the others have 4 in hand each and it has none."""
    servers = [server("s1", 1000, 4.0, weight=100), server("s2", 10, 0.0, weight=10)]
    found = only(list(leftover_weight(*seen(*servers))))
    assert (found.subject, found.severity) == ("app/s2", Severity.MEDIUM)
    assert "set weight app/s2 100" in found.fixes[0].commands[0]
    assert found.fixes[0].undo.endswith("/run/haproxy/admin.sock")


@pytest.mark.parametrize(
    ("second", "severity"),
    [
        (server("s2", 110, 0.0, weight=11), None),
        (server("s2", 10, 0.0, weight=1, slow_start=True), None),
        (server("s2", 0, 0.0, weight=0), None),
        (server("s2", 10, 0.0, weight=1, since=3), None),
        (server("s2", 10, 2.0, weight=1), Severity.LOW),
        (server("s2", 10, 1.9, weight=1), Severity.MEDIUM),
    ],
    ids=["a ninth", "slow start", "drained", "new", "as busy as half", "idle"],
)
def test_a_light_server_matters_when_the_others_are_busy(
    second: Server, severity: Severity | None
) -> None:
    found = list(leftover_weight(*seen(server("s1", 1000, 4.0, weight=100), second, samples=20)))
    assert [f.severity for f in found] == ([] if severity is None else [severity])


def test_a_queue_beside_a_light_server_is_its_price() -> None:
    servers = [server("s1", 1000, 4.0, weight=100, limit=4), server("s2", 10, 0.0, weight=1)]
    found = only(list(leftover_weight(*seen(*servers, waiting=4.0))))
    assert found.impact == pytest.approx(0.5)
    assert found.explains == {"haproxy.backend:app": 0.5}


def timed(*times: tuple[float, float]) -> list[Member]:
    """Members by (requests, seconds per request), each request timed."""
    return [Member(f"s{i}", 1, n, n * t) for i, (n, t) in enumerate(times)]


@pytest.mark.parametrize(
    ("members", "slow"),
    [
        (timed((100, 0.1), (100, 0.1), (100, 0.2)), ["s2"]),
        (timed((100, 0.1), (100, 0.1), (100, 0.199)), []),
        (timed((100, 0.01), (100, 0.0599)), []),
        (timed((100, 0.01), (100, 0.0601)), ["s1"]),
        (timed((100, 0.01), (19, 0.5)), []),
        (timed((100, 0.01), (20, 0.5)), ["s1"]),
        (timed((100, 0.01), (100, 0.5), (100, 0.4), (100, 0.01)), ["s1", "s2"]),
        (timed((100, 0.01), (100, 0.5), (100, 0.5)), []),
        (timed((100, 0.01), (167, 0.5)), []),
        ([], []),
    ],
    ids=["twice", "less than twice", "49.9 ms more", "50 ms more", "19 requests", "20 requests",
         "two of four", "two of three", "loaded", "none"],
)  # fmt: skip
def test_laggards_of_any_balancer(members: list[Member], slow: list[str]) -> None:
    """Where each request was timed, as in an access log."""
    assert [laggard.member.name for laggard in laggards(members)] == slow


def test_the_excess_is_what_the_others_would_not_need() -> None:
    (found,) = laggards(timed((100, 0.1), (100, 0.5)))
    assert (found.seconds, found.others) == (0.5, 0.1)
    assert found.excess == pytest.approx(40.0)


def test_work_is_what_was_seen_in_hand() -> None:
    members = [Member("s1", 1, 100, seen=350.0), Member("s2", 1, 300, seen=50.0)]
    found = by_work(members)
    assert found is not None
    assert found.deviation == pytest.approx(0.75)
    assert by_work([Member("s1", 1, 100, seen=120.0), Member("s2", 1, 300, seen=80.0)]) is None
