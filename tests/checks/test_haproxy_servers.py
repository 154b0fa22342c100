"""Servers that are down, unchecked, flapping, slow, alone, or cannot be seen."""

from dataclasses import replace
from typing import Any

import pytest

from scaledoctor.sdk import Confidence, Kind, Severity, Unavailable, Window
from scaledoctor.sources.haproxy import HaproxyStats
from scaledoctor.sources.haproxy_cfg import parse
from scaledoctor_checks.balancing.haproxy_blind import algorithm_unseen, servers_unlisted
from scaledoctor_checks.balancing.haproxy_checks import (
    flapping,
    no_health_check,
    shallow_health_check,
)
from scaledoctor_checks.balancing.haproxy_down import servers_down, shared_health_check
from scaledoctor_checks.balancing.haproxy_single import single_server
from scaledoctor_checks.balancing.haproxy_slow import slow_server
from tests.checks.haproxy_facts import Server, info, reloaded, seen, server
from tests.checks.pg_facts import active, only, still, waiting


def down(name: str, check: str = "L4CON", code: int | None = None, since: int = 60) -> Server:
    return server(name, 0, 0.0, status="DOWN", check=check, code=code, since=since,
                  words="Connection refused")  # fmt: skip


def test_without_rates_nothing_is_said() -> None:
    """One reading, or counters that began anew: skipped with its reason, not quiet."""
    stats, now = seen(server("s1"), down("s2"))
    with pytest.raises(Unavailable, match="one reading"):
        list(slow_server(Window.of(stats.last), now, None, None))
    with pytest.raises(Unavailable, match="counts anew"):
        list(servers_down(reloaded(stats), now))


def test_what_stands_is_told_by_one_reading() -> None:
    """A server that is down is down; of 503 and rates nothing is known then."""
    stats, now = seen(server("s1"), down("s2"), samples=1)
    once = Window.of(stats.last)
    found = only(list(servers_down(once, now)))
    assert (found.subject, found.kind, found.impact) == ("app/s2", Kind.LIVE, 0.0)
    bare, now = seen(server("s1"), server("s2", status="no check", check="", code=None), samples=1)
    assert only(list(no_health_check(Window.of(bare.last), now))).subject == "app"
    assert not list(servers_down(Window.of(seen(server("s1"))[0].last), now))
    gone, now = seen(down("s1", since=9), down("s2", "L7STS", since=9000), requests=10, samples=1)
    assert only(list(servers_down(Window.of(gone.last), now))).severity is Severity.CRITICAL
    idle, now = seen(down("s1"), down("s2", "L7STS"), samples=1)
    assert only(list(servers_down(Window.of(idle.last), now))).kind is Kind.RISK


def test_all_up_is_quiet_and_so_is_maintenance() -> None:
    parked = [server("s2", 0, status="MAINT"), server("s3", 0, status="DRAIN"),
              server("s4", 0, weight=0), server("s5", 0, status="MAINT (via app/s2)")]  # fmt: skip
    assert not list(servers_down(*seen(server("s1"), *parked)))


@pytest.mark.parametrize(
    ("others", "severity"), [(2, Severity.MEDIUM), (1, Severity.HIGH)], ids=["third", "half"]
)
def test_one_that_is_down_is_named_with_its_check(others: int, severity: Severity) -> None:
    alive = [server(f"s{i}") for i in range(others)]
    found = only(list(servers_down(*seen(*alive, down("dead")))))
    assert found.subject == "app/dead"
    assert found.severity is severity
    assert "L4CON (Connection refused)" in found.summary
    assert found.impact == 0
    assert "set server app/dead state maint" in found.fixes[1].commands[0]


def test_what_waits_for_the_missing_ones_is_their_cost() -> None:
    """Two of three are gone; of 6 requests in hand 3 wait, and two thirds of these need not."""
    stats, now = seen(server("s1", in_hand=3.0), down("s2"), down("s3"), waiting=3.0)
    found = only(list(servers_down(stats, now)))
    assert found.subject == "app"
    assert found.impact == pytest.approx(1 / 3)
    assert found.explains == {"haproxy.backend:app": pytest.approx(2 / 3)}


def test_when_none_is_left_every_503_counts() -> None:
    stats, now = seen(down("s1"), down("s2", "L7STS", 500), requests=80, errors=80,
                      failed_connects=80)  # fmt: skip
    found = only(list(servers_down(stats, now)))
    assert (found.subject, found.severity, found.impact) == ("app", Severity.CRITICAL, 1.0)
    assert "80 of 80 requests got 503" in found.summary
    assert not list(shared_health_check(stats, now, None))


def test_a_backend_without_traffic_is_a_risk() -> None:
    found = only(list(servers_down(*seen(down("s1"), down("s2")))))
    assert found.kind is Kind.RISK


def test_twenty_findings_are_enough() -> None:
    """A thousand backends that each lost a server: the last finding counts the rest."""
    stats, now = seen(server("s1"), down("s2"))

    def many(fact: HaproxyStats) -> HaproxyStats:
        rows = [replace(s, proxy=f"b{i}") for i in range(1000) for s in fact.servers]
        backends = tuple(replace(fact.backends[0], name=f"b{i}") for i in range(1000))
        return replace(fact, backends=backends, servers=tuple(rows))

    both = Window(((0.0, many(stats.first)), (10.0, many(stats.last))))
    found = list(servers_down(both, now))
    assert len(found) == 20
    assert found[-1].evidence[-1].value == 980.0


def by_answer(**of_second: Any) -> list[Server]:
    first = down("s1", "L7STS", 503)
    second = down("s2", "L7STS", 503)
    return [first, replace(second, row=replace(second.row, **of_second))]


def test_one_answer_that_takes_all_out_points_at_what_they_share() -> None:
    stats, now = seen(*by_answer(), requests=50, errors=50, failed_connects=50)
    found = only(list(shared_health_check(stats, now, None)))
    assert found.subject == "app"
    assert found.confidence is Confidence.MEDIUM
    assert found.explains == {"haproxy.backend:app": 1.0}
    symptom = only(list(servers_down(stats, now)))
    assert symptom.waits_for == {"haproxy.backend:app": 1.0}
    assert not symptom.explains


@pytest.mark.parametrize(
    ("servers", "fires"),
    [
        (by_answer(since=65), True),
        (by_answer(since=66), False),
        (by_answer(code=500), False),
        ([down("s1"), down("s2")], False),
        ([*by_answer(), server("s3")], False),
        ([*by_answer(), server("s3", status="MAINT")], True),
        (by_answer()[:1], False),
    ],
    ids=["5 s apart", "6 s apart", "other answer", "refused", "one works", "one parked", "one"],
)
def test_together_means_by_the_same_answer_within_five_seconds(
    servers: list[Server], fires: bool
) -> None:
    stats, now = seen(*servers, requests=50, errors=50, failed_connects=50)
    assert bool(list(shared_health_check(stats, now, None))) is fires


def test_a_database_whose_sessions_wait_makes_it_sure() -> None:
    """Three of four busy sessions wait for a lock: the check asks a database that is stuck."""
    stats, now = seen(*by_answer(), requests=50, errors=50, failed_connects=50)
    stuck = still(active(1), waiting(2, 1), waiting(3, 1), waiting(4, 1))
    found = only(list(shared_health_check(stats, now, stuck)))
    assert found.confidence is Confidence.HIGH
    assert found.waits_for == {"postgres.locks": 0.75}
    calm = only(list(shared_health_check(stats, now, still(active(1)))))
    assert calm.confidence is Confidence.MEDIUM


def test_a_page_that_is_not_there_gets_another_advice() -> None:
    lost = [down("s1", "L7STS", 404), down("s2", "L7STS", 404)]
    stats, now = seen(*lost, requests=5, errors=5, failed_connects=5)
    found = only(list(shared_health_check(stats, now, None)))
    assert found.fixes[0].title == "Let the check ask for a page that exists"


def test_servers_without_a_check() -> None:
    """A backend of one is left alone; one that fails its requests makes it worse."""
    bare: dict[str, Any] = {"status": "no check", "check": "", "code": None}
    assert not list(no_health_check(*seen(server("s1"), server("s2"))))
    assert not list(no_health_check(*seen(server("s1", **bare))))
    found = only(list(no_health_check(*seen(server("s1"), server("s2", **bare)))))
    assert (found.subject, found.severity, found.kind) == ("app", Severity.MEDIUM, Kind.RISK)
    lost = server("s2", retries=3, **bare)
    assert only(list(no_health_check(*seen(server("s1"), lost)))).severity is Severity.HIGH


def test_checks_that_only_connect() -> None:
    open_port = [server(f"s{i}", check="L4OK", code=None) for i in (1, 2)]
    found = only(list(shallow_health_check(*seen(*open_port))))
    assert found.severity is Severity.LOW
    assert not list(shallow_health_check(*seen(*open_port, mode="tcp")))
    assert not list(shallow_health_check(*seen(*open_port[:1])))
    assert not list(shallow_health_check(*seen(server("s1"), server("s2"))))


@pytest.mark.parametrize(
    ("falls", "since", "uptime", "fires"),
    [
        (2, 299, None, True),
        (2, 300, None, False),
        (1, 10, None, False),
        (3, 9000, 3600, True),
        (2, 9000, 3600, False),
        (5, 9000, 7200, False),
        (6, 9000, 7200, True),
    ],
)
def test_flapping_is_by_history(falls: int, since: int, uptime: int | None, fires: bool) -> None:
    """Two falls, the last less than 300 s ago; or three per hour, and three at least."""
    process = info(uptime=uptime) if uptime else None
    stats, now = seen(server("s1"), server("s2", times_down=falls, since=since))
    assert bool(list(flapping(stats, now, process))) is fires


def test_a_fall_in_the_window_is_live() -> None:
    """It fell once and is back; one that stays down is somebody else's finding."""
    stats, now = seen(server("s1"), server("s2", times_down=1, since=2))
    first = stats.first
    earlier = replace(first, servers=tuple(replace(s, times_down=0) for s in first.servers))
    window = Window(((0.0, earlier), (10.0, stats.last)))
    found = only(list(flapping(window, now, None)))
    assert (found.subject, found.kind) == ("app/s2", Kind.LIVE)
    gone = replace(stats.last, servers=tuple(
        replace(s, status="DOWN") if s.name == "s2" else s for s in stats.last.servers
    ))  # fmt: skip
    assert not list(flapping(Window(((0.0, earlier), (10.0, gone))), now, None))


def fleet(slow_in_hand: float, slow_requests: int = 200, **changes: Any) -> list[Server]:
    """Two servers that need 50 ms for a request, and one to look at."""
    return [server("s1", 200, 1.0), server("s2", 200, 1.0),
            server("s3", slow_requests, slow_in_hand, **changes)]  # fmt: skip


@pytest.mark.parametrize(("in_hand", "fires"), [(3.0, True), (1.9, False)], ids=["150 ms", "95 ms"])
def test_twice_the_others_and_50_ms_more(in_hand: float, fires: bool) -> None:
    assert bool(list(slow_server(*seen(*fleet(in_hand)), None, None))) is fires


def test_a_quick_fleet_has_no_slow_server() -> None:
    """30 ms against 5 ms is six times as long, and nobody notices."""
    servers = [server("s1", 2000, 1.0), server("s2", 2000, 1.0), server("s3", 2000, 6.0)]
    assert not list(slow_server(*seen(*servers), None, None))


def test_the_slow_one_is_named_with_its_time() -> None:
    """10 in hand at 20 requests per second: half a second each, against 50 ms."""
    found = only(list(slow_server(*seen(*fleet(10.0), algorithm="roundrobin"), None, None)))
    assert found.subject == "app/s3"
    assert "takes 500 ms for a request, the other servers 50 ms" in found.summary
    assert found.impact == pytest.approx(9 / 12)
    assert found.explains["haproxy.backend:app"] == pytest.approx(9 / 12)
    assert found.severity is Severity.HIGH
    assert found.fixes[1].undo == "balance roundrobin, and reload"
    assert "set weight app/s3 10%" in found.fixes[2].commands[0]


def test_under_least_connections_it_is_not_advised_again() -> None:
    found = only(list(slow_server(*seen(*fleet(10.0), algorithm="leastconn"), None, None)))
    assert len(found.fixes) == 1
    written = parse("backend app\n  balance leastconn\n", "haproxy.cfg")
    assert len(only(list(slow_server(*seen(*fleet(10.0)), written, None))).fixes) == 1


def test_chance_is_no_slow_server() -> None:
    """In three samples it held 4 requests and the others 2 in all: that happens."""
    servers = [server("s1", 6, 0.4), server("s2", 6, 0.4), server("s3", 6, 1.4)]
    assert not list(slow_server(*seen(*servers, samples=3), None, None))


def test_one_that_gets_more_is_loaded_not_slow() -> None:
    """A quarter more than its share: 250 of 600 with three servers."""
    rest = [server("s1", 175, 1.0), server("s2", 175, 1.0)]
    assert not list(slow_server(*seen(*rest, server("s3", 250, 10.0)), None, None))
    assert list(slow_server(*seen(*rest, server("s3", 200, 10.0)), None, None))


def test_a_server_that_answers_nothing_holds_what_it_gets() -> None:
    """No request ended; it is named, and less surely. Websockets look the same, and are not."""
    stuck = [server("s1", 40, 0.0), server("s2", 40, 0.0)]
    found = only(list(slow_server(*seen(*stuck, server("s3", 0, 8.0)), None, None)))
    assert "does not give its requests back" in found.summary
    assert found.confidence is Confidence.MEDIUM
    idle = [server("s1", 0, 0.0), server("s2", 0, 0.0)]
    assert list(slow_server(*seen(*idle, server("s3", 0, 8.0), samples=5), None, None))
    assert not list(slow_server(*seen(*stuck, server("s3", 0, 8.0, upgrades=5)), None, None))
    assert not list(slow_server(*seen(*stuck, server("s3", 0, 8.0), mode="tcp"), None, None))


def test_one_server_is_a_risk_where_traffic_is() -> None:
    found = only(list(single_server(*seen(server("s1")))))
    assert (found.subject, found.kind) == ("app", Kind.RISK)
    assert not list(single_server(*seen(server("s1", 0))))
    assert not list(single_server(*seen(server("s1"), server("s2", backup=True))))


def test_what_cannot_be_seen_is_told() -> None:
    stats = seen(server("s1"), server("s2"))[0].last
    assert not list(servers_unlisted(stats))
    found = only(list(servers_unlisted(replace(stats, unlisted=8000))))
    assert found.kind is Kind.BLIND_SPOT
    assert "2 of 8,002 servers" in found.summary
    assert only(list(algorithm_unseen(stats, None))).subject == "balance"
    assert not list(algorithm_unseen(stats, parse("backend app\n", "haproxy.cfg")))
    told = seen(server("s1"), algorithm="roundrobin")[0].last
    assert not list(algorithm_unseen(told, None))
