"""Checks of Envoy on plain facts: quiet ones first, then each threshold at its edge."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from scaledoctor.sdk import Kind, Severity, State, Unavailable, Window
from scaledoctor.sources.envoy import (
    ClusterCounters,
    EnvoyBreakers,
    EnvoyCounters,
    EnvoyLimits,
    EnvoyServer,
)
from scaledoctor.sources.proxies import (
    InHand,
    Policy,
    ProxyGroup,
    ProxyGroups,
    ProxyLoad,
    ProxyMember,
)
from scaledoctor_checks.balancing.envoy import (
    cluster,
    ejection_capped,
    not_live,
    overflow,
    panic,
)
from scaledoctor_checks.balancing.envoy_errors import errors, retries

LIMITS = EnvoyBreakers((EnvoyLimits("shop", "shop", 100, 50, 200, 3),))
A = ProxyMember("10.0.0.1:80", requests=0, failed=0, timeouts=0, unconnected=0)
B = replace(A, address="10.0.0.2:80")
C = replace(A, address="10.0.0.3:80")


def counted(**counters: int) -> Window[EnvoyCounters]:
    """A window of ten seconds in which these counters grew, from 7 each."""
    names = {"completed": 1000, **counters}
    first = ClusterCounters("shop", **dict.fromkeys(names, 7))
    last = ClusterCounters("shop", **{name: 7 + n for name, n in names.items()})
    return Window(((0.0, EnvoyCounters((first,))), (10.0, EnvoyCounters((last,)))))


def in_hand(active: int, waiting: int = 0, connections: int = 0) -> Window[ProxyLoad]:
    return Window.of(*[ProxyLoad((InHand("shop", "a", active, waiting, connections),))] * 4)


IDLE = Window.of(ProxyLoad(()), ProxyLoad(()))


def after(*members: ProxyMember, **changes: Any) -> Window[ProxyGroups]:
    """A window at whose start these members had counted nothing."""
    group = ProxyGroup("shop", members, Policy.EVEN, "round_robin", ("active",))
    group = replace(group, **changes)
    fresh = tuple(
        replace(m, requests=0, failed=0, timeouts=0, unconnected=0) for m in group.members
    )
    first = ProxyGroups("envoy", (replace(group, members=fresh),))
    return Window(((0.0, first), (10.0, ProxyGroups("envoy", (group,)))))


def test_quiet_when_nothing_is_refused() -> None:
    assert not list(overflow(LIMITS, counted(), in_hand(99, 10)))
    assert not list(panic(LIMITS, counted(), after(A, B)))
    assert not list(ejection_capped(LIMITS, counted(), after(A, B)))
    assert not list(errors(LIMITS, counted(errors=9), after(A, B)))
    assert not list(retries(LIMITS, counted(retries=9), after(A, B)))


def test_one_reading_is_not_quiet_but_skipped() -> None:
    once = Window.of(counted().last)
    with pytest.raises(Unavailable, match="one reading"):
        list(overflow(LIMITS, once, in_hand(1)))


def test_an_envoy_that_began_anew_is_skipped() -> None:
    turned = Window(tuple(reversed(counted().samples)))
    with pytest.raises(Unavailable, match="anew"):
        list(errors(LIMITS, turned, after(A)))


@pytest.mark.parametrize(
    ("load", "counters", "used", "limit", "state"),
    [
        (in_hand(74), {}, 74, 100, State.OK),
        (in_hand(75), {}, 75, 100, State.BUSY),
        (in_hand(90, 1), {}, 90, 100, State.SATURATED),
        (in_hand(95), {}, 95, 100, State.BUSY),  # full, and nobody waits
        (in_hand(10, 45), {}, 45, 50, State.SATURATED),
        (in_hand(10, 1, 200), {}, 10, 100, State.OK),  # idle connections are no use
        (in_hand(10, 1, 200), {"connections_full": 1}, 200, 200, State.SATURATED),
        (in_hand(10), {"refused_active": 1}, 10, 100, State.SATURATED),
    ],
)
def test_the_fullest_breaker_is_the_use(
    load: Window[ProxyLoad], counters: dict[str, int], used: float, limit: float, state: State
) -> None:
    (use,) = cluster(LIMITS, counted(**counters), load)
    assert (use.used, use.limit, use.state, use.subject) == (used, limit, state, "shop")


def test_clusters_without_requests_are_left_out() -> None:
    assert not list(cluster(LIMITS, counted(completed=0), IDLE))


@pytest.mark.parametrize(
    ("refused", "completed", "severity"),
    [(4, 100, None), (5, 501, Severity.MEDIUM), (5, 500, Severity.HIGH), (5, 51, Severity.HIGH),
     (5, 50, Severity.CRITICAL)],
)  # fmt: skip
def test_overflow(refused: int, completed: int, severity: Severity | None) -> None:
    window = counted(refused_active=refused, completed=completed)
    found = list(overflow(LIMITS, window, in_hand(100)))
    assert [f.severity for f in found] == ([severity] if severity else [])
    assert all("max_requests is 100" in f.summary for f in found)


@pytest.mark.parametrize(
    ("counters", "active", "says", "fixed"),
    [
        ({"refused_active": 9}, 5, "max_requests is 100", "max_requests: 200"),
        # Before 1.38 both limits have one counter; what is in hand tells them apart.
        ({"refused_pending": 9}, 100, "max_requests is 100", "max_requests: 200"),
        ({"refused_pending": 9}, 5, "max_pending_requests is 50", "max_pending_requests: 100"),
        ({"refused_pending": 9, "connections_full": 3}, 5,
         "max_connections is 200, and max_pending_requests is 50", "max_connections: 400"),
    ],
)  # fmt: skip
def test_the_limit_that_refused_is_named(
    counters: dict[str, int], active: int, says: str, fixed: str
) -> None:
    (found,) = overflow(LIMITS, counted(**counters), in_hand(active))
    assert says in found.summary
    assert fixed in found.fixes[0].commands[1]
    assert found.explains == {"envoy.cluster:shop": 1.0}


def test_refusals_are_counted_where_nothing_could_be_sampled() -> None:
    """More than a thousand hosts: /clusters is read at both ends only."""
    (found,) = overflow(LIMITS, counted(refused_active=9), None)
    assert [e.fact for e in found.evidence] == ["refused"]
    assert not list(overflow(LIMITS, counted(), None))


@pytest.mark.parametrize(
    ("active", "waiting", "severity"),
    [(5, 1, None), (4, 1, Severity.MEDIUM), (2, 2, Severity.HIGH), (0, 0, None)],
)
def test_waiting_for_a_connection(active: int, waiting: int, severity: Severity | None) -> None:
    window = counted(connections_full=50)
    found = list(overflow(LIMITS, window, in_hand(active, waiting, 200)))
    assert [f.severity for f in found] == ([severity] if severity else [])
    assert not list(overflow(LIMITS, counted(), in_hand(active, waiting, 200)))


DOWN = replace(B, down="fails its health check")


def test_panic_names_its_cluster_and_leaves_the_rest_to_others() -> None:
    (found,) = panic(LIMITS, counted(panics=600), after(A, DOWN, replace(DOWN, address="c")))
    assert (found.subject, found.severity) == ("shop", Severity.HIGH)
    assert found.impact == pytest.approx(0.6 * 2 / 3)
    assert not list(panic(LIMITS, counted(panics=600), after(DOWN)))
    window = counted(panics=600, errors=400, unconnected=400)
    assert not list(errors(LIMITS, window, after(A, DOWN)))


def test_an_ejection_that_is_not_allowed_names_the_member() -> None:
    failing = replace(B, requests=300, failed=300)
    (found,) = ejection_capped(LIMITS, counted(ejections_capped=1), after(A, failing, C))
    assert found.subject == "shop/10.0.0.2:80"
    assert "max_ejection_percent lets none of 3 go" in found.summary


@pytest.mark.parametrize(
    ("wrong", "completed", "severity"),
    [(9, 1000, None), (10, 1000, Severity.MEDIUM), (49, 1000, Severity.MEDIUM),
     (50, 1000, Severity.HIGH), (199, 199, None), (200, 200, Severity.HIGH)],
)  # fmt: skip
def test_errors_by_share_and_number(wrong: int, completed: int, severity: Severity | None) -> None:
    failing = replace(B, requests=wrong, failed=wrong)
    window = counted(completed=completed, errors=wrong)
    found = list(errors(LIMITS, window, after(A, failing)))
    assert [f.severity for f in found] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("counters", "member", "says"),
    [
        ({}, {"failed": 100}, "the application answered 5xx, 100 tries (10.0.0.2:80 answers 5xx"),
        ({"unconnected": 100}, {"failed": 100, "unconnected": 100},
         "no connection to a member, 100 tries (10.0.0.2:80 refuses connections"),
        ({"timeouts": 100}, {"failed": 100, "timeouts": 100},
         "no answer in time, 100 tries (10.0.0.2:80 does not answer in time"),
        ({"no_member": 100}, {}, "no usable member, 100 tries"),
        ({"no_member": 91, "timeouts": 9}, {}, "no usable member, 91 tries"),
        ({"no_member": 90, "timeouts": 10}, {}, "90 tries; no answer in time, 10 tries"),
        ({}, {}, "cause unknown"),
    ],
)  # fmt: skip
def test_who_made_the_errors(counters: dict[str, int], member: dict[str, Any], says: str) -> None:
    window = counted(errors=100, **counters)
    (found,) = errors(LIMITS, window, after(A, replace(B, **member)))
    assert says in found.summary
    assert found.subject == ("shop/10.0.0.2:80" if member else "shop")


def test_errors_of_all_members_name_none() -> None:
    members: Sequence[ProxyMember] = [replace(m, failed=40) for m in (A, B, C)]
    (found,) = errors(LIMITS, counted(errors=120), after(*members))
    assert found.subject == "shop"
    assert "--access-log" in found.fixes[0].commands[0]


def test_refusals_of_the_breakers_are_told_once() -> None:
    """From 1.38 on they stand among the failures of the member that was chosen."""
    window = counted(errors=500, refused_active=500)
    assert not list(errors(LIMITS, window, after(A, replace(B, failed=500))))
    assert list(overflow(LIMITS, window, in_hand(100)))


@pytest.mark.parametrize(
    ("tries", "severity"),
    [(9, None), (10, Severity.LOW), (49, Severity.LOW), (50, Severity.MEDIUM)],
)
def test_retries_hide_failures(tries: int, severity: Severity | None) -> None:
    failing = replace(B, requests=tries, failed=tries)
    window = counted(retries=tries, retries_good=tries)
    found = list(retries(LIMITS, window, after(A, failing)))
    assert [f.severity for f in found] == ([severity] if severity else [])
    assert all(f.kind is Kind.LIVE and f.subject == "shop/10.0.0.2:80" for f in found)


def test_retries_are_part_of_the_errors_that_users_see() -> None:
    window = counted(retries=100, errors=10)
    assert not list(retries(LIMITS, window, after(A, replace(B, failed=110))))
    assert list(errors(LIMITS, window, after(A, replace(B, failed=110))))


def test_impact_is_a_share_of_all_requests() -> None:
    limits = EnvoyBreakers((*LIMITS.clusters, EnvoyLimits("other", "other", 100, 50, 200, 3)))
    quiet = ClusterCounters("other", completed=3000)
    first = EnvoyCounters((ClusterCounters("shop"), ClusterCounters("other")))
    last = EnvoyCounters((ClusterCounters("shop", completed=1000, errors=500), quiet))
    window = Window(((0.0, first), (10.0, last)))
    (found,) = errors(limits, window, after(A, replace(B, failed=500)))
    assert found.impact == pytest.approx(0.5 / 4)


@pytest.mark.parametrize(
    ("state", "command"),
    [
        ("LIVE", None),
        ("DRAINING", "curl -X POST http://ADMIN/healthcheck/ok"),
        ("PRE_INITIALIZING", "curl -s 'http://ADMIN/init_dump'"),
    ],
)
def test_an_envoy_that_is_not_live_is_told_how_to_become_it(
    state: str, command: str | None
) -> None:
    """Draining ends by a command; what is missing at the start must be looked for."""
    found = list(not_live(EnvoyServer("1.40.0", state)))
    assert [f.fixes[0].commands[0] for f in found] == ([command] if command else [])
