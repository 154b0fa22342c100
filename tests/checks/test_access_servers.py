"""The servers behind a balancer by its log: even, slow, failing; each threshold at its edge."""

from typing import Any

import pytest

from scaledoctor.sdk import Finding, Kind, Severity, Unavailable
from scaledoctor_checks.balancing.access_log import hidden_failures, slow_upstream, uneven
from tests.checks.access_facts import log, route, upstream

EVEN = tuple(upstream(f"10.0.0.{i}:80", 1000 + i) for i in range(1, 4))


def only(findings: Any) -> Finding:
    (finding,) = findings
    assert isinstance(finding, Finding)
    return finding


@pytest.mark.parametrize("check", [uneven, slow_upstream, hidden_failures])
def test_a_healthy_log_is_quiet(check: Any) -> None:
    assert not list(check(log(route(requests=3006), servers=EVEN)))
    assert not list(check(log(servers=EVEN[:1])))


@pytest.mark.parametrize("check", [uneven, slow_upstream])
def test_without_addresses_nothing_can_be_said(check: Any) -> None:
    with pytest.raises(Unavailable, match="does not name the servers"):
        list(check(log(upstreams=False)))


def test_a_server_with_too_many_requests_is_a_risk() -> None:
    servers = (
        upstream("10.0.0.1:80", 900),
        upstream("10.0.0.2:80", 300),
        upstream("10.0.0.3:80", 300),
    )
    found = only(uneven(log(servers=servers)))
    assert found.subject == "10.0.0.1:80"
    assert (found.severity, found.kind) == (Severity.LOW, Kind.RISK)
    assert "1.80 times its equal share" in found.summary


@pytest.mark.parametrize(("requests", "live"), [(449, False), (750, True)])
def test_a_loaded_server_that_is_slower_costs_something_now(requests: int, live: bool) -> None:
    """Half more than its share is needed, and a quarter more time than its peers."""
    hot = upstream("10.0.0.1:80", requests, 0.02, expected=requests * 0.016)
    found = only(uneven(log(servers=(hot, upstream("10.0.0.2:80", 250)))))
    assert (found.kind is Kind.LIVE) is live
    assert (found.severity is Severity.MEDIUM) is live


def test_least_connections_gives_a_slow_server_less() -> None:
    """Even in time, uneven in number."""
    servers = (upstream("10.0.0.1:80", 900, 0.01), upstream("10.0.0.2:80", 300, 0.03))
    assert not list(uneven(log(servers=servers)))


@pytest.mark.parametrize(("failed", "fires"), [(14, True), (15, False)])
def test_a_failing_server_gets_less_for_a_reason(failed: int, fires: bool) -> None:
    servers = (upstream("10.0.0.1:80", 900), upstream("10.0.0.2:80", 300, failed=failed))
    assert bool(list(uneven(log(servers=servers)))) is fires


def test_groups_are_not_mixed() -> None:
    servers = (*EVEN, upstream("10.0.1.1:80", 100, group="static"))
    assert not list(uneven(log(servers=servers)))


def slow(mean: float, compared: int = 300) -> Any:
    """One server of ``mean`` seconds among three of 100 ms, each measured against the rest."""
    peers = [
        upstream(f"10.0.0.{i}:80", 300, 0.1, expected=300 * (0.2 + mean) / 3) for i in (1, 2, 3)
    ]
    bad = upstream("10.0.0.9:80", compared, mean, expected=compared * 0.1)
    return slow_upstream(log(route(spent=90 + compared * mean), servers=(*peers, bad)))


def test_a_slow_server_among_fast_ones() -> None:
    found = only(slow(0.5))
    assert found.subject == "10.0.0.9:80"
    assert found.severity is Severity.HIGH
    assert found.impact == pytest.approx(120 / 240)
    assert "takes 500 ms per request, its peers 100 ms" in found.summary


@pytest.mark.parametrize(("mean", "fires"), [(0.15, False), (0.5, True)])
def test_a_slow_server_takes_twice_as_long(mean: float, fires: bool) -> None:
    assert bool(list(slow(mean))) is fires


@pytest.mark.parametrize(("compared", "fires"), [(99, False), (100, True)])
def test_a_slow_server_needs_a_hundred_requests(compared: int, fires: bool) -> None:
    assert bool(list(slow(0.5, compared))) is fires


def test_ten_milliseconds_more_are_no_slow_server() -> None:
    servers = (
        upstream("a:80", 500, 0.002, expected=6.0),
        upstream("b:80", 500, 0.012, expected=1.0),
    )
    assert not list(slow_upstream(log(servers=servers)))


def test_slow_servers_need_upstream_times() -> None:
    with pytest.raises(Unavailable, match="no upstream times"):
        list(slow_upstream(log(servers=EVEN, upstream_timed=False)))


@pytest.mark.parametrize(
    ("failed", "severity"),
    [(4, None), (5, Severity.LOW), (9, Severity.LOW), (10, Severity.MEDIUM)],
)
def test_failures_that_a_retry_hides(failed: int, severity: Severity | None) -> None:
    servers = (upstream("10.0.0.1:80"), upstream("10.0.0.2:80", failed=failed))
    found = list(hidden_failures(log(route(hidden=failed), servers=servers)))
    assert [f.severity for f in found] == ([severity] if severity else [])
    assert all(f.subject == "10.0.0.2:80" for f in found)


def test_a_server_that_haproxy_does_not_name() -> None:
    servers = (upstream("app/s1"), upstream("app/?", 50, failed=50))
    found = only(hidden_failures(log(route(hidden=50), servers=servers)))
    assert found.subject == "app"
    assert "50 tries in app failed" in found.summary


def test_retries_cannot_be_seen_without_the_upstreams_status() -> None:
    with pytest.raises(Unavailable, match="does not tell single tries"):
        list(hidden_failures(log(answers=False)))
