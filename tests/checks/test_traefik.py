"""Checks of Traefik at their thresholds, then on what a real one answered."""

import pytest

from scaledoctor.sdk import Confidence, Kind, Severity, Unavailable, Window
from scaledoctor.sources.proxies import ProxyGroup, ProxyGroups, ProxyMember
from scaledoctor.sources.traefik import TraefikCounters, TraefikRow
from scaledoctor_checks.balancing.traefik import errors, members_unseen, retries, service
from tests.balancers import scan
from tests.goproxies import recorded, replayed


def window(
    clients: dict[int, int], tries: dict[tuple[str, int], int], labels: bool = True
) -> Window[TraefikCounters]:
    """Ten seconds in which clients got these answers and services these tries, from 5 each."""

    def reading(times: int) -> TraefikCounters:
        rows = [TraefikRow("web", code, 5 + times * n, 0.0) for code, n in clients.items()]
        services = [
            TraefikRow(name, code, 5 + times * n, times * n * 0.02)
            for (name, code), n in tries.items()
        ]
        return TraefikCounters(tuple(rows), tuple(services) if labels else (), 3)

    return Window(((0.0, reading(0)), (10.0, reading(1))))


DARK = ProxyGroups("traefik", (ProxyGroup("gone@file", (ProxyMember("a:1", down="x"),)),))
FINE = ProxyGroups("traefik", (ProxyGroup("shop@file", (ProxyMember("a:1"), ProxyMember("b:1"))),))


def test_quiet_on_a_healthy_one() -> None:
    healthy = window({200: 1000, 404: 200}, {("shop@file", 200): 1000, ("shop@file", 404): 200})
    assert not list(errors(healthy, None))
    assert not list(retries(healthy))


@pytest.mark.parametrize(
    ("good", "bad", "severity"),
    [(991, 9, None), (990, 10, Severity.MEDIUM), (951, 49, Severity.MEDIUM),
     (950, 50, Severity.HIGH), (99, 100, None), (100, 100, Severity.HIGH)],
)  # fmt: skip
def test_errors_by_share_and_number(good: int, bad: int, severity: Severity | None) -> None:
    both = window({200: good, 500: bad}, {("shop@file", 200): good, ("shop@file", 500): bad})
    found = list(errors(both, None))
    assert [f.severity for f in found] == ([severity] if severity else [])
    assert all(f.subject == "shop@file" and "answered so itself" in f.summary for f in found)


def test_a_server_that_does_not_answer() -> None:
    both = window({200: 900, 502: 100}, {("shop@file", 200): 900, ("shop@file", 502): 100})
    (found,) = errors(both, Window.of(FINE, FINE))
    assert "servers of shop@file did not answer, 100 times" in found.summary
    assert found.fixes[0].commands[0] == "# in http.services.shop.loadBalancer:"
    assert found.impact == pytest.approx(0.1)


def test_what_no_service_counts_is_traefiks_own() -> None:
    both = window({200: 900, 503: 100}, {("shop@file", 200): 900})
    (found,) = errors(both, Window.of(FINE, FINE))
    assert (found.subject, found.confidence) == ("traefik", Confidence.HIGH)
    assert not list(errors(both, Window.of(DARK, DARK)))


def test_each_that_makes_a_hundredth_fail_is_named() -> None:
    tries = {("a@file", 500): 50, ("b@file", 502): 50, ("c@file", 500): 9, ("a@file", 200): 891}
    found = list(errors(window({200: 891, 500: 59, 502: 50}, tries), None))
    assert [f.subject for f in found] == ["a@file", "b@file"]


def test_without_the_label_nobody_is_blamed() -> None:
    (found,) = errors(window({200: 900, 500: 100}, {}, labels=False), None)
    assert (found.subject, found.confidence) == ("entry points", Confidence.LOW)
    assert "addServicesLabels" in found.fixes[0].commands[0]


@pytest.mark.parametrize(
    ("failed", "severity"),
    [(9, None), (10, Severity.LOW), (49, Severity.LOW), (50, Severity.MEDIUM)],
)
def test_retries_hide_failed_tries(failed: int, severity: Severity | None) -> None:
    both = window({200: 1000}, {("shop@file", 200): 1000, ("shop@file", 502): failed})
    found = list(retries(both))
    assert [f.severity for f in found] == ([severity] if severity else [])
    assert all(f.subject == "shop@file" for f in found)


def test_what_users_see_is_told_once() -> None:
    both = window({200: 900, 502: 100}, {("shop@file", 200): 900, ("shop@file", 502): 300})
    assert not list(retries(both))


def test_no_rates_no_verdict() -> None:
    both = window({200: 1000}, {})
    with pytest.raises(Unavailable, match="one reading"):
        list(errors(Window.of(both.last), None))
    with pytest.raises(Unavailable, match="anew"):
        list(errors(Window(tuple(reversed(both.samples))), None))


def test_requests_in_hand_by_littles_law() -> None:
    (use,) = service(window({200: 1000}, {("shop@file", 200): 1000, ("idle@file", 200): 0}))
    assert (use.subject, use.limit) == ("shop@file", None)
    assert use.used == pytest.approx(2.0)


def test_what_traefik_does_not_show() -> None:
    (found,) = members_unseen(FINE)
    assert found.kind is Kind.BLIND_SPOT
    assert not list(members_unseen(DARK))


def test_on_recorded_answers() -> None:
    """One dead server in three services, a failing one, and a service with nobody left."""
    answers = {
        "/api/version": recorded("traefik", "version"),
        "/api/http/services": recorded("traefik", "services"),
        "/metrics": recorded("traefik", "metrics"),
    }
    with replayed(answers) as url:
        seen = scan(0.1, traefik=url)
    assert seen.stored() == seen.snapshot
    assert {(f.check, f.subject) for f in seen.live()} == {
        ("proxy.member-down", "gone@file"),
        ("proxy.member-down", "shop@file/127.0.0.1:20469"),
        ("traefik.errors", "failing@file"),
        ("traefik.errors", "refusing@file"),
        ("traefik.errors", "hidden@file"),
    }
    assert {f.subject for f in seen.by("proxy.unchecked")} == {
        "failing@file", "hidden@file", "refusing@file", "sticky@file",
    }  # fmt: skip
    assert [f.subject for f in seen.by("proxy.single-member")] == ["alone@file"]
