"""Errors, tails and aborts of an access log, and what it does not tell: each at its edges."""

from typing import Any

import pytest

from scaledoctor.sdk import Finding, Kind, Severity, Unavailable
from scaledoctor_checks.app.access_answers import client_aborts, errors, slow_tail
from scaledoctor_checks.app.access_blind import no_timing, unread_lines
from tests.checks.access_facts import heavy, log, route, upstream


def only(findings: Any) -> Finding:
    (finding,) = findings
    assert isinstance(finding, Finding)
    return finding


@pytest.mark.parametrize("check", [errors, slow_tail, client_aborts, no_timing, unread_lines])
def test_a_healthy_log_is_quiet(check: Any) -> None:
    healthy = log(
        route(errors=9, answered=9, aborted=10), route("GET /", 9000, aborted=100), lines=10_000,
        unread=19,
    )  # fmt: skip
    assert not list(check(healthy))


@pytest.mark.parametrize(
    ("failed", "severity"),
    [(9, None), (10, Severity.MEDIUM), (49, Severity.MEDIUM), (50, Severity.HIGH)],
)
def test_errors_of_a_thousand(failed: int, severity: Severity | None) -> None:
    found = list(errors(log(route(errors=failed, answered=failed))))
    assert [f.severity for f in found] == ([severity] if severity else [])


@pytest.mark.parametrize(("requests", "fires"), [(199, False), (200, True)])
def test_errors_need_two_hundred_requests(requests: int, fires: bool) -> None:
    assert bool(list(errors(log(route(requests=requests, errors=5, answered=5))))) is fires


@pytest.mark.parametrize(
    ("requests", "failed", "fires"), [(36, 9, False), (40, 10, True), (41, 10, False)]
)
def test_a_route_that_fails_alone(requests: int, failed: int, fires: bool) -> None:
    """Hidden among 10,000 good ones."""
    bad = route("POST /pay", requests, errors=failed, answered=failed)
    found = list(errors(log(route("GET /", 10_000), bad)))
    assert [f.subject for f in found] == (["POST /pay"] if fires else [])


@pytest.mark.parametrize(
    ("counts", "words", "fix"),
    [
        ({"answered": 30}, "30 made by the application", "application's own log"),
        ({"unanswered": 30}, "30 for want of an answer", "does not answer"),
        ({}, "30 made by the balancer alone", "balancer's limits"),
        ({"answered": 5, "unanswered": 20}, "20 for want of an answer from the application, 5 made "
         "by the balancer alone, 5 made by the application", "does not answer"),
    ],
)  # fmt: skip
def test_who_made_the_errors(counts: dict[str, Any], words: str, fix: str) -> None:
    found = only(errors(log(route(errors=30, **counts))))
    assert words in found.summary
    assert fix in found.fixes[0].title


@pytest.mark.parametrize(("waited", "queues"), [(0.11 * 11, True), (0.09 * 11, False)])
def test_errors_of_a_queue(waited: float, queues: bool) -> None:
    """1,000 requests take 11 s; a tenth of that in the balancer's queue is the edge."""
    found = only(list(errors(log(route(errors=100), waited=waited))))
    assert ("1 ms in the balancer's queue" in found.summary) is queues
    assert ("queue in vain" in found.fixes[0].title) is queues


def test_a_log_without_upstream_status_does_not_tell_who() -> None:
    found = only(errors(log(route(errors=30), answers=False)))
    assert "does not tell who made them" in found.summary


def test_errors_everywhere_are_of_all_routes() -> None:
    routes = [route(f"GET /{name}", 100, errors=4, answered=4) for name in "abc"]
    assert only(errors(log(*routes))).subject == "all routes"


def test_errors_of_one_server_name_it() -> None:
    servers = (upstream("10.0.0.1:80"), upstream("10.0.0.2:80", errors=30), upstream("10.0.0.3:80"))
    found = only(errors(log(route(errors=30, answered=30), servers=servers)))
    assert found.subject == "10.0.0.2:80"
    alone = only(errors(log(route(errors=30, answered=30), servers=servers[1:2])))
    assert alone.subject == "GET /orders/:id"


@pytest.mark.parametrize(
    ("changes", "fires"),
    [
        ({"p99": 2.0, "p50": 0.1}, True),
        ({"p99": 1.99, "p50": 0.01}, False),
        ({"p99": 2.0, "p50": 0.101}, False),
        ({"p99": 9.0, "p50": 0.1, "requests": 400}, True),
        ({"p99": 9.0, "p50": 0.1, "requests": 399}, False),
    ],
)
def test_a_slow_tail(changes: dict[str, Any], fires: bool) -> None:
    found = list(slow_tail(log(route(**changes))))
    assert [f.severity for f in found] == ([Severity.LOW] if fires else [])


def test_a_tail_cannot_be_seen_without_times() -> None:
    with pytest.raises(Unavailable, match="has no times"):
        list(slow_tail(log(timed=False)))


@pytest.mark.parametrize(
    ("requests", "aborted", "fires"), [(200, 10, True), (199, 10, False), (1000, 49, False)]
)
def test_client_aborts(requests: int, aborted: int, fires: bool) -> None:
    assert bool(list(client_aborts(log(route(requests=requests, aborted=aborted))))) is fires


@pytest.mark.parametrize(("p95", "severity"), [(0.99, Severity.LOW), (1.0, Severity.MEDIUM)])
def test_aborts_of_a_slow_route_weigh_more(p95: float, severity: Severity) -> None:
    slow = heavy("GET /search", 200, aborted=60, p95=p95)
    found = only(client_aborts(log(slow, route(aborted=5))))
    assert (found.subject, found.severity) == ("GET /search", severity)


def test_a_log_without_times_says_which_format_has_them() -> None:
    found = only(no_timing(log(timed=False, upstream_timed=False, format="combined")))
    assert found.kind is Kind.BLIND_SPOT
    assert "$upstream_response_time" in " ".join(found.fixes[0].commands)


@pytest.mark.parametrize(
    ("lines", "unread", "fires"),
    [(1000, 19, False), (1000, 20, True), (10_000, 99, False), (10_000, 100, True)],
)
def test_lines_that_were_not_read(lines: int, unread: int, fires: bool) -> None:
    found = list(unread_lines(log(lines=lines, unread=unread)))
    assert [f.kind for f in found] == ([Kind.BLIND_SPOT] if fires else [])


def test_a_log_that_was_cut_says_so() -> None:
    found = only(unread_lines(log(note="the file is damaged or cut: read up to there")))
    assert found.summary == "the file is damaged or cut: read up to there"
