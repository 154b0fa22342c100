"""What places requests besides the algorithm: forgotten weights, cookies and stick tables."""

from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Severity, Step, Window, check
from scaledoctor.sources.haproxy import HaproxyNow, HaproxyStats
from scaledoctor.sources.haproxy_cfg import HaproxyCfg
from scaledoctor_checks.balancing._bounded import bounded
from scaledoctor_checks.balancing._haproxy import (
    SOURCE,
    Group,
    Served,
    Traffic,
    sticky,
    traffic,
)
from scaledoctor_checks.balancing._haproxy_words import runtime, setting
from scaledoctor_checks.balancing.haproxy_spread import fair_members, pinned_share


@check("haproxy.leftover-weight", step=Step.SCALE_OUT)
def leftover_weight(
    stats: Window[HaproxyStats],
    now: Window[HaproxyNow],
    /,
    *,
    ratio: float = 0.1,
    in_hand: float = 2.0,
    idle: float = 0.5,
) -> Iterator[Finding]:
    """A server kept a fraction of the others' weight, as after an unfinished rollout.

    Why: its capacity is paid for and not used, and the others carry its load.
    How measured: weight of a server that was up for the whole window, at most ``ratio`` of the
    highest; one in slow start is not counted. It is more than low when each of the others has
    ``in_hand`` requests on average while this one has less than ``idle`` times as many, or when
    requests wait.
    Fix: give it its weight back.
    When to ignore: a canary that is meant, or a smaller machine.
    References: HAProxy, configuration manual, "weight"; management guide, "set weight".
    """
    found = traffic(stats, now)
    yield from bounded(
        finding for group in found.groups for finding in _light(group, found, ratio, in_hand, idle)
    )


def _light(
    group: Group, everything: Traffic, ratio: float, in_hand: float, idle: float
) -> Iterator[Finding]:
    servers = [s for s in group.steady if not s.row.slow_start]
    most = max((s.row.weight for s in servers), default=0)
    light = [s for s in servers if s.row.weight <= ratio * most]
    heavy = [s for s in servers if s not in light]
    if not heavy:
        return
    mean = sum(s.in_flight for s in heavy) / len(heavy)
    for server in light:
        busy = mean >= in_hand and server.in_flight < idle * mean
        waits = group.waiting >= 1
        share = server.requests / max(1.0, group.requests)
        yield Finding(
            subject=server.key,
            summary=f"{server.key} has weight {server.row.weight}, the others up to {most}: it got "
            f"{server.requests:.0f} of {group.requests:.0f} requests; each of the others has "
            f"{mean:.1f} in hand",
            severity=Severity.MEDIUM if busy or waits else Severity.LOW,
            confidence=Confidence.MEDIUM,
            evidence=(
                Evidence("weight", float(server.row.weight), f"of up to {most}", ratio * most,
                         SOURCE),
                Evidence("share of the requests", share, "", None, SOURCE),
                Evidence("requests in hand there, mean", server.in_flight, "requests", None,
                         SOURCE),
                Evidence("requests in hand at each of the others", mean, "requests", in_hand,
                         SOURCE),
            ),
            fixes=(_weight_back(server, most),),
            explains={group.key: group.queue_share} if waits else {},
            impact=everything.held(group.waiting),
        )  # fmt: skip


def _weight_back(server: Served, most: int) -> Fix:
    return Fix(
        f"Give {server.key} its weight back",
        (
            runtime(f"set weight {server.key} {most}"),
            f"# and in haproxy.cfg: server {server.row.name} ... weight {most}",
        ),
        language="shell",
        risk="it gets its share at once: warm its caches first, or raise in steps",
        verify=runtime(f"get weight {server.key}"),
        undo=runtime(f"set weight {server.key} {server.row.weight}"),
    )


@check("haproxy.persistence", step=Step.SCALE_OUT)
def persistence(
    stats: Window[HaproxyStats],
    now: Window[HaproxyNow],
    cfg: HaproxyCfg | None,
    /,
    *,
    share: float = 0.2,
    requests: float = 100,
) -> Iterator[Finding]:
    """Clients are bound to their server by a cookie or a stick table.

    Why: a new server gets new clients only, one that goes away takes its sessions with it, and
    few clients are never spread evenly.
    How measured: requests that were not placed by the algorithm (stot less lbtot and wretr), at
    least ``share`` of ``requests`` or more; not while requests queue, since a queue places too.
    Fix: keep sessions where all servers find them.
    When to ignore: where it is meant and the load even; this is its price, not a fault.
    References: HAProxy, configuration manual, "cookie" and "stick on".
    """
    for group in traffic(stats, now).groups:
        pinned = pinned_share(fair_members(group))
        if group.requests < requests or pinned < share:
            continue
        name = group.row.name
        yield Finding(
            subject=name,
            summary=f"{pinned:.0%} of the requests of backend {name} go where their client went "
            f"before{', as configured' if sticky(group, cfg) else ''}: a server that is added gets "
            "new clients only",
            severity=Severity.INFO,
            evidence=(
                Evidence("placed by persistence", pinned, "share", share, SOURCE),
                Evidence("cookie", group.row.cookie or "not shown at this level", source=SOURCE),
            ),
            fixes=(
                setting(
                    "Keep sessions in a store that all servers share, then remove the cookie",
                    (f"# in backend {name}", "# cookie ... or stick on ...   (remove)"),
                    risk="until sessions are shared, people are logged out",
                    verify="scaledoctor scan: this line is gone",
                ),
            ),
        )
