"""Members of Envoy, Traefik and Caddy: down, alone, unchecked, slow, or loaded unevenly."""

from collections.abc import Iterator
from dataclasses import replace

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Kind,
    Severity,
    Step,
    Unavailable,
    Window,
    check,
)
from scaledoctor.sources.proxies import Policy, ProxyGroups, ProxyLoad
from scaledoctor_checks.balancing._balance import (
    SLOWER_BY,
    Imbalance,
    Laggard,
    Member,
    imbalance,
    laggards,
)
from scaledoctor_checks.balancing._bounded import bounded
from scaledoctor_checks.balancing._proxies import (
    SOURCES,
    Group,
    explained,
    groups,
    health_check,
    least,
    look_at,
    parts,
    second,
    used,
)


@check("proxy.member-down", step=Step.SCALE_OUT)
def member_down(window: Window[ProxyGroups], /, *, share: float = 0.5) -> Iterator[Finding]:
    """A member gets no requests, because the proxy thinks that it is down.

    Why: the others carry its share; with none left every request fails.
    How measured: the health flags at the end of the window: Envoy's health checks, outlier
    detection and control plane, Traefik's serverStatus, Caddy's health metric and the failures
    it remembers. One that somebody drains is left out. High when ``share`` of the weight is
    gone, critical when all is. Threshold: the rest then carries twice its load.
    Fix: ask the member what its check asks, and repair it.
    When to ignore: a deployment that goes on.
    References: Envoy, "Health checking", "Outlier detection"; Traefik, healthCheck; Caddy,
    reverse_proxy.
    """
    found = groups(window)
    part = parts(found)
    yield from bounded(f for g in found for f in _down(g, share, part[g.row.name], len(found)))


def _down(group: Group, share: float, part: float, count: int) -> Iterator[Finding]:
    """``part`` is the group's share of all requests, ``count`` the number of groups."""
    wanted = [m for m in group.members if not m.row.drained]
    down = [m for m in wanted if m.row.down]
    total = sum(m.row.weight for m in wanted)
    lost = sum(m.row.weight for m in down) / total if total else 0.0
    kind = Kind.LIVE if group.row.used else Kind.RISK
    evidence = Evidence(
        "members down", float(len(down)), f"of {len(wanted)}", 1.0, SOURCES[group.product]
    )
    if down and len(down) == len(wanted):
        first = down[0].row
        yield Finding(
            subject=group.row.name,
            summary=f"no member of {group.row.name} is up, {len(down)} are down: "
            f"{first.address} {first.down}",
            severity=Severity.CRITICAL,
            evidence=(evidence,),
            fixes=tuple(look_at(group.product, group.row.name, m.row.address) for m in down[:3]),
            explains=explained(group, 1.0),
            # With nobody to send to, no request may have been counted.
            impact=max(part, 1 / count),
            kind=kind,
        )
        return
    for served in down:
        row = served.row
        yield Finding(
            subject=f"{group.row.name}/{row.address}",
            summary=f"{row.address} of {group.row.name} is down: {row.down}; "
            f"{len(wanted) - len(down)} of {len(wanted)} members are left",
            severity=Severity.HIGH if lost >= share else Severity.MEDIUM,
            evidence=(
                evidence,
                Evidence("weight that is down", lost, "share", share, SOURCES[group.product]),
            ),
            fixes=(look_at(group.product, group.row.name, row.address),),
            impact=row.weight / total * lost * part,
            kind=kind,
        )


@check("proxy.single-member", step=Step.SCALE_OUT)
def single_member(window: Window[ProxyGroups], /) -> Iterator[Finding]:
    """All requests of a group go to one member.

    Why: it is the ceiling of the whole, and when it stops nothing answers.
    How measured: groups with one member that a route leads to; with Envoy, that got requests in
    the window. A name that is looked up may stand for several.
    Fix: a second instance.
    When to ignore: an address that is itself a balancer, as a service's address in Kubernetes.
    References: Envoy, load_assignment; Traefik, servers; Caddy, reverse_proxy.
    """
    yield from bounded(
        Finding(
            subject=g.row.name,
            summary=f"{g.row.name} has one member, {g.members[0].row.address}"
            + (", a name that may stand for several" if g.row.names else ""),
            severity=Severity.INFO if g.row.names else Severity.LOW,
            evidence=(Evidence("members", 1.0, "member", 2.0, SOURCES[g.product]),),
            fixes=(second(g),),
            kind=Kind.RISK,
        )
        for g in used(groups(window))
        if len(g.members) == 1
    )


@check("proxy.unchecked", step=Step.SCALE_OUT)
def unchecked(window: Window[ProxyGroups], /) -> Iterator[Finding]:
    """The proxy does not find out that a member fails.

    Why: a member that has gone goes on to get its share of the requests, and they fail.
    How measured: groups of two or more members with neither active nor passive health checks
    in the configuration. Envoy's clusters from a control plane (EDS) are checked by that.
    Fix: a health check, on a path that is cheap.
    When to ignore: members that something else takes out, as a service mesh does.
    References: Envoy, health_checks, outlier_detection; Traefik, healthCheck; Caddy,
    health_uri, fail_duration.
    """
    yield from bounded(
        Finding(
            subject=g.row.name,
            summary=f"{g.row.name} sends requests to {len(g.members)} members without asking "
            "whether they are up",
            severity=Severity.MEDIUM,
            evidence=(Evidence("health checks", "none", source=SOURCES[g.product]),),
            fixes=(health_check(g),),
            kind=Kind.RISK,
        )
        for g in used(groups(window))
        if len(g.members) > 1 and not g.row.checked
    )


@check("proxy.slow-member", step=Step.SCALE_OUT)
def slow_member(
    window: Window[ProxyGroups], load: Window[ProxyLoad] | None, /, *, severe: float = 0.5
) -> Iterator[Finding]:
    """One member takes longer for a request than the others of its group.

    Why: round robin gives it as many requests as the others, so that its share of all requests
    is slow, and they pile up there.
    How measured: requests in hand by member, twice a second, over the requests that it was sent
    (Little's law); it must be slower than the rest of its group together twice and by 50 ms,
    and chance no explanation. A member that fails is no measure for the others. Where requests
    are not counted by member (Caddy), its requests in hand alone, for policies that give equal
    shares and groups whose health is checked: a member that refuses has nothing in hand either.
    High from ``severe`` of the group's request time. Traefik shows neither.
    Fix: look at that member's host; balance by requests in hand meanwhile.
    When to ignore: members of different size; give them weights.
    References: Little's law; Envoy, "Least request".
    """
    if load is None:
        product = window.last.product
        why = "is not shown" if product == "traefik" else "was not read"
        reason = f"what each member of {product} has in hand {why}"
        raise Unavailable(reason, "give its access log to --access-log")
    if len(load) < 2:
        raise Unavailable("one sample of requests in hand says nothing", "scan with a --window")
    found = groups(window, load)
    hand = sum(m.seen for g in found for m in g.members) or 1.0
    for group in found:
        members = _comparable(group, window.seconds, len(load))
        slower_by = SLOWER_BY if group.requests is not None else 0.5
        total = sum(m.seen for m in members)
        for slow in laggards(members, slower_by=slower_by):
            excess = slow.excess / sum(m.seconds for m in members)
            impact = min(1.0, max(0.0, excess)) * total / hand
            yield _slow(group, slow, slow.member.seen / max(1.0, total), severe, impact)


def _comparable(group: Group, seconds: float, samples: int) -> list[Member]:
    """Members that can be compared: by their time for a request, else by what is in their hand.

    Without counts, of a policy that gives equal shares, a request of its own stands for a share.
    """
    members = [m.member(seconds, samples) for m in group.steady if not m.failing]
    if group.requests is not None:
        return members
    if group.row.policy is Policy.EVEN and group.row.checked:
        return [replace(m, requests=m.weight, seconds=m.seen / samples) for m in members]
    return []


def _slow(group: Group, slow: Laggard, share: float, severe: float, impact: float) -> Finding:
    counted = group.requests is not None
    source, name = SOURCES[group.product], slow.member.name
    what, unit = ("its time for a request", "s") if counted else ("in its hand, mean", "requests")
    return Finding(
        subject=f"{group.row.name}/{name}",
        summary=_slow_words(group, name, slow.seconds, slow.others, counted),
        severity=Severity.HIGH if share >= severe else Severity.MEDIUM,
        confidence=Confidence.HIGH if counted else Confidence.MEDIUM,
        evidence=(
            Evidence(what, slow.seconds, unit, 2 * slow.others, source),
            Evidence("share of the group's requests in hand", share, "share", severe, source),
        ),
        fixes=(look_at(group.product, group.row.name, name, slow=True), least(group)),
        explains=explained(group, share),
        impact=impact,
    )


def _slow_words(group: Group, address: str, own: float, others: float, counted: bool) -> str:
    if counted:
        return (
            f"{address} of {group.row.name} takes {own * 1000:.0f} ms for a request, the others "
            f"{others * 1000:.0f} ms"
        )
    return (
        f"{address} of {group.row.name} has {own:.1f} requests in hand, the others {others:.1f} "
        f"each, of equal shares by {group.row.method}"
    )


@check("proxy.imbalance", step=Step.SCALE_OUT)
def uneven(window: Window[ProxyGroups], /, *, severe: float = 0.5) -> Iterator[Finding]:
    """One member gets another share of the requests than its weight says.

    Why: the fullest member is full while others idle.
    How measured: requests by member over the window against the weights, for members that were
    usable all the time: a chi-square test with p < 0.001, 100 requests a member and a quarter
    off (see the balance test). Policies that balance by requests in hand are left out: uneven
    counts are their purpose. Hash policies are named when they are ``severe`` off.
    Only Envoy counts requests by member.
    Fix: balance by requests in hand; with a hash, spread the keys.
    When to ignore: a cache that is meant to be split by key.
    References: Envoy, "Supported load balancers".
    """
    counted = [g for g in groups(window) if g.requests is not None]
    if not counted:
        raise Unavailable(
            f"{window.last.product} does not count requests by member",
            "give its access log to --access-log",
        )
    part = parts(counted)
    for group in counted:
        hashed = group.row.policy is Policy.HASH
        if group.row.policy not in (Policy.EVEN, Policy.HASH):
            continue
        members = [m.member(window.seconds, 0) for m in group.steady]
        found = imbalance(members, deviation=severe) if hashed else imbalance(members)
        if found:
            yield _uneven(group, found, severe, part[group.row.name])


def _uneven(group: Group, found: Imbalance, severe: float, part: float) -> Finding:
    hashed = group.row.policy is Policy.HASH
    off = f"{abs(found.deviation):.0%} {'more' if found.deviation > 0 else 'less'}"
    why = f" by {group.row.method}: few keys or a busy one" if hashed else ""
    return Finding(
        subject=f"{group.row.name}/{found.worst.name}",
        summary=f"{found.worst.name} got {found.worst.requests:.0f} of {found.requests:.0f} "
        f"requests of {group.row.name}, {off} than its share{why}",
        severity=Severity.HIGH if abs(found.deviation) >= 2 * severe else Severity.MEDIUM,
        evidence=(
            Evidence("requests", found.worst.requests, "requests", found.expected,
                     SOURCES[group.product]),
            Evidence("chance", found.p, "p", 0.001, "chi-square"),
        ),
        fixes=(least(group),),
        explains=explained(group, found.worst.requests / found.requests),
        impact=min(1.0, abs(found.worst.requests - found.expected) / found.requests) * part,
    )  # fmt: skip
