"""Members of Envoy, Traefik and Caddy on plain facts: quiet ones first, then each edge."""

from dataclasses import replace

import pytest

from scaledoctor.sdk import Confidence, Kind, Severity, Unavailable, Window
from scaledoctor.sources.proxies import (
    InHand,
    Policy,
    ProxyGroup,
    ProxyGroups,
    ProxyLoad,
    ProxyMember,
)
from scaledoctor_checks.balancing.proxies import (
    member_down,
    single_member,
    slow_member,
    unchecked,
    uneven,
)

UP = ProxyMember("a:80")
SICK = ProxyMember("b:80", down="fails its health check")
SHOP = ProxyGroup("shop", (UP, replace(UP, address="b:80")), Policy.EVEN, "wrr", ("active",))


def window(*groups: ProxyGroup, product: str = "traefik") -> Window[ProxyGroups]:
    """The same at both ends, ten seconds apart."""
    fact = ProxyGroups(product, groups)
    return Window(((0.0, fact), (10.0, fact)))


def group(*members: ProxyMember, **changes: object) -> ProxyGroup:
    return replace(SHOP, members=members, **changes)  # type: ignore[arg-type]  # by name


def counted(*requests: int, product: str = "envoy", **changes: object) -> Window[ProxyGroups]:
    """Members m0, m1, ... that got these requests."""
    members = [ProxyMember(f"m{i}", requests=n) for i, n in enumerate(requests)]
    last = group(*members, **changes)
    first = group(*(replace(m, requests=0) for m in members), **changes)
    return Window(((0.0, ProxyGroups(product, (first,))), (10.0, ProxyGroups(product, (last,)))))


def held(*active: int, samples: int = 20, name: str = "shop") -> Window[ProxyLoad]:
    """Members m0, m1, ... with so many requests in hand, in every sample."""
    rows = tuple(InHand(name, f"m{i}", n) for i, n in enumerate(active))
    return Window.of(*[ProxyLoad(rows)] * samples)


def test_a_healthy_group_is_quiet() -> None:
    assert not list(member_down(window(SHOP)))
    assert not list(single_member(window(SHOP)))
    assert not list(unchecked(window(SHOP)))
    assert not list(slow_member(counted(500, 500), held(5, 5)))
    assert not list(uneven(counted(500, 500)))


@pytest.mark.parametrize(
    ("weight", "severity"), [(1.0, Severity.MEDIUM), (2.0, Severity.HIGH), (3.0, Severity.HIGH)]
)
def test_a_member_that_is_down_by_its_weight(weight: float, severity: Severity) -> None:
    """Of three members: a third of the weight is medium, a half is high."""
    third = replace(UP, address="c:80")
    (found,) = member_down(window(group(UP, third, replace(SICK, weight=weight))))
    assert (found.subject, found.severity) == ("shop/b:80", severity)
    assert "2 of 3 members are left" in found.summary
    assert "curl" in found.fixes[0].commands[0]


def test_with_nobody_left_the_group_is_named_once() -> None:
    (found,) = member_down(window(group(SICK, replace(SICK, address="c:80"))))
    assert (found.subject, found.severity, found.impact) == ("shop", Severity.CRITICAL, 1.0)


def test_who_is_drained_is_not_down() -> None:
    assert not list(member_down(window(group(UP, replace(UP, address="b:80", drained=True)))))
    (found,) = member_down(window(group(SICK, replace(UP, drained=True))))
    assert found.severity is Severity.CRITICAL


def test_a_group_that_nobody_uses_costs_nothing_now() -> None:
    (found,) = member_down(window(group(UP, SICK, used=False)))
    assert found.kind is Kind.RISK
    assert not list(single_member(window(group(UP, used=False))))
    assert not list(unchecked(window(group(UP, SICK, used=False, checked=()))))


@pytest.mark.parametrize("product", ["envoy", "traefik", "caddy"])
def test_every_product_has_its_own_lines(product: str) -> None:
    (alone,) = single_member(window(group(UP), product=product))
    (blind,) = unchecked(window(replace(SHOP, checked=()), product=product))
    for found in (alone, blind):
        fix = found.fixes[0]
        assert all("{group}" not in line and "{short}" not in line for line in fix.commands)
        assert fix.risk
        assert fix.verify
        assert fix.undo
    assert (alone.severity, blind.severity) == (Severity.LOW, Severity.MEDIUM)


def test_a_name_may_stand_for_several() -> None:
    (found,) = single_member(window(group(UP, names=True)))
    assert found.severity is Severity.INFO


def test_a_cluster_without_requests_is_not_judged() -> None:
    assert not list(single_member(counted(0)))
    assert list(single_member(counted(1)))


@pytest.mark.parametrize(
    ("active", "fires"),
    [
        ((3, 20), True),  # 60 ms and 400 ms
        ((1, 3), False),  # 20 ms and 60 ms: not 50 ms more
        ((1, 4), True),
        ((20, 39), False),  # 400 ms and 780 ms: not twice
    ],
)
def test_a_slow_member(active: tuple[int, int], fires: bool) -> None:
    """500 requests in ten seconds each: one in hand is 20 ms."""
    found = list(slow_member(counted(500, 500), held(*active)))
    assert [f.subject for f in found] == (["shop/m1"] if fires else [])
    assert all(f.confidence is Confidence.HIGH for f in found)


def test_a_slow_member_is_high_from_half_of_the_time() -> None:
    (found,) = slow_member(counted(500, 500), held(4, 16))
    assert found.severity is Severity.HIGH
    assert found.impact == pytest.approx(0.6)
    assert found.explains == {"envoy.cluster:shop": pytest.approx(0.8)}
    (found,) = slow_member(counted(500, 500, 500, 500), held(4, 4, 4, 10))
    assert found.severity is Severity.MEDIUM


@pytest.mark.parametrize(("failed", "fires"), [(249, True), (250, False)])
def test_a_member_that_fails_is_no_measure(failed: int, fires: bool) -> None:
    """It answers in no time; that does not make the good one slow."""
    both = counted(500, 500)
    fast, good = both.last.groups[0].members
    last = group(replace(fast, failed=failed), good)
    first = group(*(replace(m, requests=0, failed=0) for m in (fast, good)))
    edges = Window(((0.0, ProxyGroups("envoy", (first,))), (10.0, ProxyGroups("envoy", (last,)))))
    assert bool(list(slow_member(edges, held(1, 9)))) is fires


def test_few_samples_of_few_requests_prove_nothing() -> None:
    assert not list(slow_member(counted(10, 10), held(0, 2, samples=4)))


def test_without_counts_an_even_policy_gives_equal_shares() -> None:
    """Caddy: requests in hand alone, and less sure; a member must have half a request more."""
    rows = group(ProxyMember("m0"), ProxyMember("m1"))
    (found,) = slow_member(window(rows, product="caddy"), held(1, 9))
    assert (found.subject, found.confidence) == ("shop/m1", Confidence.MEDIUM)
    assert "9.0 requests in hand, the others 1.0" in found.summary
    assert found.impact == pytest.approx(0.8)  # 8 of the 10 in hand would not be there
    blind = replace(rows, checked=())
    assert not list(slow_member(window(blind, product="caddy"), held(1, 9)))
    least = replace(rows, policy=Policy.LEAST)
    assert not list(slow_member(window(least, product="caddy"), held(1, 9)))
    assert not list(slow_member(window(rows, product="caddy"), held(2, 3)))


def test_what_is_not_shown_is_skipped() -> None:
    with pytest.raises(Unavailable, match="each member of traefik has in hand is not shown"):
        list(slow_member(window(SHOP), None))
    with pytest.raises(Unavailable, match="traefik does not count requests by member"):
        list(uneven(window(SHOP)))
    with pytest.raises(Unavailable, match="one sample"):
        list(slow_member(window(SHOP), held(1, samples=1)))


def test_a_proxy_that_began_anew_is_skipped() -> None:
    turned = Window(tuple(reversed(counted(500, 500).samples)))
    with pytest.raises(Unavailable, match="anew"):
        list(member_down(turned))


@pytest.mark.parametrize(
    ("policy", "requests", "fires"),
    [
        (Policy.EVEN, (1000, 1000), False),
        (Policy.EVEN, (1250, 750), True),
        (Policy.EVEN, (1240, 760), False),  # 24 %
        (Policy.LEAST, (1900, 100), False),  # what it is for
        (Policy.HASH, (1490, 510), False),
        (Policy.HASH, (1500, 500), True),
        (Policy.OTHER, (1900, 100), False),
    ],
)
def test_uneven_by_policy(policy: Policy, requests: tuple[int, int], fires: bool) -> None:
    found = list(uneven(counted(*requests, policy=policy)))
    assert [f.subject for f in found] == (["shop/m0"] if fires else [])


def test_members_that_came_went_or_stand_elsewhere_are_not_compared() -> None:
    both = counted(1900, 100)
    first, last = both.first.groups[0], both.last.groups[0]
    sick = tuple(replace(m, down="x") for m in first.members[:1])
    was_down = ProxyGroups("envoy", (replace(first, members=(*sick, *first.members[1:])),))
    assert not list(uneven(Window(((0.0, was_down), (10.0, both.last)))))
    places = tuple(replace(m, place=f"zone{i}") for i, m in enumerate(last.members))
    apart = ProxyGroups("envoy", (replace(last, members=places),))
    assert not list(uneven(Window(((0.0, both.first), (10.0, apart)))))


def test_a_member_that_refuses_gets_its_share_of_the_tries() -> None:
    """Envoy does not count a request before it has a connection."""
    good, dead = ProxyMember("m0", requests=500), ProxyMember("m1", requests=0, unconnected=500)
    first = group(replace(good, requests=0), replace(dead, unconnected=0))
    last = group(good, dead)
    both = Window(((0.0, ProxyGroups("envoy", (first,))), (10.0, ProxyGroups("envoy", (last,)))))
    assert not list(uneven(both))
