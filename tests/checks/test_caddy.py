"""Checks of Caddy at their thresholds, then on what a real one answered."""

import pytest

from scaledoctor.sdk import Kind, Severity, State, Unavailable, Window
from scaledoctor.sources.caddy import CaddyCounters, CaddyRow
from scaledoctor.sources.proxies import InHand, ProxyGroup, ProxyGroups, ProxyLoad, ProxyMember
from scaledoctor_checks.balancing.caddy import errors, members_unseen, upstream
from tests.balancers import scan
from tests.goproxies import recorded, replayed


def window(codes: dict[int, int], own: int = 0) -> Window[CaddyCounters]:
    """Ten seconds in which srv0 gave these answers, from 5 each; ``own`` are Caddy's errors."""

    def reading(times: int) -> CaddyCounters:
        rows = [CaddyRow("srv0", code, 5 + times * n, 0.0) for code, n in codes.items()]
        return CaddyCounters(tuple(rows), {"srv0": 5 + times * own})

    return Window(((0.0, reading(0)), (10.0, reading(1))))


def groups(*members: ProxyMember, checked: tuple[str, ...] = ()) -> ProxyGroups:
    return ProxyGroups("caddy", (ProxyGroup("srv0 shop.example", members, checked=checked),))


FINE = groups(ProxyMember("a:1", most=4), ProxyMember("b:1"))
DARK = groups(ProxyMember("a:1", down="x"))


def test_quiet_on_a_healthy_one() -> None:
    assert not list(errors(window({200: 1000, 404: 100}), None))


@pytest.mark.parametrize(
    ("good", "bad", "severity"),
    [(991, 9, None), (990, 10, Severity.MEDIUM), (951, 49, Severity.MEDIUM),
     (950, 50, Severity.HIGH), (99, 100, None), (100, 100, Severity.HIGH)],
)  # fmt: skip
def test_errors_by_share_and_number(good: int, bad: int, severity: Severity | None) -> None:
    found = list(errors(window({200: good, 500: bad}), None))
    assert [f.severity for f in found] == ([severity] if severity else [])
    assert all(f.subject == "srv0" and "the application answered" in f.summary for f in found)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (502, "Caddy got no connection"),
        (503, "no upstream was healthy or had room"),
        (504, "did not answer in time"),
        (500, "Caddy made them itself"),
    ],
)
def test_caddys_own_errors_by_their_code(code: int, says: str) -> None:
    (found,) = errors(window({200: 900, code: 100}, own=100), Window.of(FINE, FINE))
    assert says in found.summary
    assert "health_uri /health" in found.fixes[0].commands
    assert "of srv0 shop.example" in found.fixes[0].commands[0]


def test_the_larger_part_is_blamed() -> None:
    (found,) = errors(window({200: 900, 502: 50, 500: 50}, own=50), None)
    assert "the application answered" in found.summary
    (found,) = errors(window({200: 900, 502: 51, 500: 50}, own=51), None)
    assert "Caddy got no connection" in found.summary


def test_a_group_with_nobody_left_is_told_once() -> None:
    both = window({200: 900, 503: 100}, own=100)
    assert not list(errors(both, Window.of(DARK, DARK)))
    assert list(errors(window({200: 900, 500: 100}), Window.of(DARK, DARK)))


def test_no_rates_no_verdict() -> None:
    both = window({200: 1000})
    with pytest.raises(Unavailable, match="one reading"):
        list(errors(Window.of(both.last), None))
    with pytest.raises(Unavailable, match="loaded anew"):
        list(errors(Window(tuple(reversed(both.samples))), None))


@pytest.mark.parametrize(
    ("active", "state"), [(2, State.OK), (3, State.BUSY), (4, State.SATURATED)]
)
def test_upstreams_against_their_limit(active: int, state: State) -> None:
    load = ProxyLoad((InHand("srv0", "a:1", active), InHand("srv0", "b:1", 50)))
    limited, free = upstream(FINE, Window.of(load, ProxyLoad(())))
    assert (limited.subject, limited.limit, limited.state) == ("a:1", 4.0, state)
    assert (free.subject, free.state) == ("b:1", State.UNKNOWN)


def test_what_caddy_does_not_show() -> None:
    (found,) = members_unseen(FINE)
    assert found.kind is Kind.BLIND_SPOT
    assert "{http.reverse_proxy.upstream.hostport}" in " ".join(found.fixes[0].commands)
    assert not list(members_unseen(DARK))


def test_on_recorded_answers() -> None:
    """A slow upstream, one that refuses and one that fails, all in one server."""
    before, after = recorded("caddy", "metrics")
    answers = {
        "/config/apps/http": recorded("caddy", "config"),
        "/reverse_proxy/upstreams": recorded("caddy", "upstreams"),
        "/metrics": [before, before, after],  # health and counters, at each end
    }
    with replayed(answers) as url:
        seen = scan(3.0, caddy=url)
    assert seen.stored() == seen.snapshot
    assert {(f.check, f.subject) for f in seen.live()} == {
        ("proxy.slow-member", "srv0 127.0.0.1/127.0.0.1:28879"),
        ("caddy.errors", "srv0"),
    }
    assert [f.subject for f in seen.by("proxy.unchecked")] == ["srv0 127.0.0.1/refusing*"]
    limit = 4.0
    assert [u.limit for u in seen.examination.uses if u.limit] == [limit]
