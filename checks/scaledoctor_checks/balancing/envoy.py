"""Envoy's limits: circuit breakers, panic, and outlier detection that may not eject."""

from collections.abc import Iterator
from math import ceil

from scaledoctor.sdk import (
    Evidence,
    Finding,
    Fix,
    Severity,
    Step,
    Use,
    Window,
    check,
    resource,
)
from scaledoctor.sources.envoy import EnvoyBreakers, EnvoyCounters, EnvoyServer
from scaledoctor.sources.proxies import ProxyGroups, ProxyLoad
from scaledoctor_checks.balancing._bounded import bounded
from scaledoctor_checks.balancing._envoy import STATS, Cluster, by_name, clusters
from scaledoctor_checks.balancing._proxies import Group, look_at, worst_member

LISTED = 10
"""Clusters in the headroom table besides those that refuse: the fullest."""

VALIDATE = "envoy --mode validate -c envoy.yaml; then scan: nothing is refused"


@resource("envoy.cluster", step=Step.SCALE_OUT)
def cluster(
    breakers: EnvoyBreakers,
    window: Window[EnvoyCounters],
    load: Window[ProxyLoad],
    /,
    *,
    warn: float = 0.75,
    critical: float = 0.9,
) -> Iterator[Use]:
    """Requests in hand of each cluster, of what its circuit breakers allow.

    How measured: the most seen at once against max_requests, waiting ones against
    max_pending_requests, connections against max_connections once one was wanted beyond it;
    the fullest of the three. Errors are requests that were refused.
    Thresholds: a sample twice a second misses the short peaks, hence ``warn`` and ``critical``
    below one.
    """
    found = clusters(breakers, window, load)
    found.sort(key=lambda c: (-c.refused, -_fullest(c)[0]))
    for each in found:
        full, used, limit, unit = _fullest(each)
        if each.refused or found.index(each) < LISTED:
            yield Use(
                used=used,
                limit=float(limit) if limit else None,
                unit=unit,
                warn=warn,
                critical=critical,
                waiting=each.waiting,
                errors=each.refused,
                contended=each.waiting > 0 or full > 1,
                subject=each.name,
            )


def _fullest(each: Cluster) -> tuple[float, float, int, str]:
    """Share, number, limit and unit of the breaker that is nearest."""
    limits = each.limits
    rows = [(each.peak, limits.requests, "requests in hand"),
            (each.peak_waiting, limits.pending, "waiting requests")]  # fmt: skip
    if each.grown["connections_full"]:
        rows.append((each.connections, limits.connections, "connections"))
    shares = [(used / limit if limit else 0.0, used, limit, unit) for used, limit, unit in rows]
    return max(shares, key=lambda row: row[0])


@check("envoy.not-live", step=Step.SCALE_OUT)
def not_live(server: EnvoyServer, /) -> Iterator[Finding]:
    """Envoy is running, and does not take requests as it should.

    Why: while it drains, its health check fails and connections are closed after each request;
    before it is initialized, it has no listeners.
    How measured: state of /server_info.
    Fix: end the draining; or see what its control plane does not send.
    When to ignore: a deployment that goes on.
    References: Envoy, "Administration interface", /server_info, /healthcheck/fail.
    """
    if server.state == "LIVE":
        return
    draining = server.state == "DRAINING"
    fix = Fix(
        "Take it back into service" if draining else "See which clusters are not there yet",
        ("curl -X POST http://ADMIN/healthcheck/ok",)
        if draining
        else ("curl -s 'http://ADMIN/init_dump'",),
        language="shell",
        risk="requests come again at once" if draining else "none",
        verify="curl -s http://ADMIN/server_info | grep state",
        undo="curl -X POST http://ADMIN/healthcheck/fail" if draining else "none needed",
    )
    yield Finding(
        subject="envoy",
        summary=f"Envoy {server.version} is {server.state.lower().replace('_', ' ')}, not live",
        severity=Severity.HIGH,
        evidence=(Evidence("state", server.state, source="/server_info"),),
        fixes=(fix,),
        impact=1.0,
    )


@check("envoy.overflow", step=Step.SCALE_OUT)
def overflow(
    breakers: EnvoyBreakers,
    window: Window[EnvoyCounters],
    load: Window[ProxyLoad] | None,
    /,
    *,
    refused: int = 5,
    high: float = 0.01,
    critical: float = 0.1,
    waiting: float = 0.2,
) -> Iterator[Finding]:
    """A cluster's circuit breaker refuses requests, or lets them wait for a connection.

    Why: refused requests get 503 at once (flag UO), though the members may have room; waiting
    ones take longer for no work.
    How measured: the overflow counters over the window, from ``refused`` requests on; high from
    ``high`` of the requests, critical from ``critical``. Without refusals, when connections are
    at max_connections and ``waiting`` of the requests in hand wait for one. Thresholds: five are
    no accident; a hundredth is what peers alarm at.
    Fix: a limit that fits the demand, if the members can bear it; else more members.
    When to ignore: a limit that is meant to shed load.
    References: Envoy, "Circuit breaking"; upstream_rq_pending_overflow and, from 1.38 on,
    upstream_rq_active_overflow.
    """
    yield from bounded(
        f
        for c in clusters(breakers, window, load)
        for f in _overflow(c, refused, (high, critical), waiting)
    )


def _overflow(
    each: Cluster, refused: int, shares: tuple[float, float], waiting: float
) -> Iterator[Finding]:
    grown = each.grown
    lost = min(1.0, each.refused / max(1.0, grown["completed"]))
    queued = each.waiting / (each.active + each.waiting) if each.waiting else 0.0
    if each.refused >= refused:
        setting, limit = _which(each)
        severity = Severity.CRITICAL if lost >= shares[1] else Severity.HIGH
        yield Finding(
            subject=each.name,
            summary=f"Envoy refused {each.refused:.0f} of {grown['completed']:.0f} requests for "
            f"{each.name}: {setting} is {limit}",
            severity=severity if lost >= shares[0] else Severity.MEDIUM,
            evidence=(
                Evidence("refused", each.refused, "requests", refused, STATS),
                *(_in_hand(each) if each.peak else ()),
            ),
            fixes=(_raise(each, setting, limit),),
            explains={f"envoy.cluster:{each.name}": 1.0},
            impact=lost * each.part,
        )  # fmt: skip
    elif grown["connections_full"] and each.waiting >= 1 and queued >= waiting:
        limit = each.limits.connections
        yield Finding(
            subject=each.name,
            summary=f"{each.waiting:.1f} requests for {each.name} wait for a connection, "
            f"{each.active:.1f} are in hand: max_connections is {limit}",
            severity=Severity.HIGH if queued >= 0.5 else Severity.MEDIUM,
            evidence=(
                Evidence("share of the requests that wait", queued, "share", waiting, "/clusters"),
                Evidence("connections", each.connections, "connections", limit, "/clusters"),
            ),
            fixes=(_raise(each, "max_connections", limit),),
            explains={f"envoy.cluster:{each.name}": 1.0},
            impact=queued * each.held,
        )


def _in_hand(each: Cluster) -> Iterator[Evidence]:
    limits = each.limits
    rows = (("in hand", each.peak, limits.requests), ("waiting", each.peak_waiting, limits.pending))
    for words, most, limit in rows:
        yield Evidence(f"{words} at once, most", most, "requests", limit, "/clusters")


def _which(each: Cluster) -> tuple[str, int]:
    """The setting that refused, and its value."""
    limits = each.limits
    if each.grown["refused_active"] or each.peak >= limits.requests:
        return "max_requests", limits.requests
    if each.grown["connections_full"]:
        return f"max_connections is {limits.connections}, and max_pending_requests", limits.pending
    return "max_pending_requests", limits.pending


def _raise(each: Cluster, setting: str, limit: int) -> Fix:
    limits, demand = each.limits, ceil(2 * (each.peak + each.peak_waiting))
    wanted = {
        "max_connections": limits.connections,
        "max_pending_requests": limits.pending,
        "max_requests": limits.requests,
    }
    values = ", ".join(
        f"{name}: {max(2 * value, demand) if name in setting else value}"
        for name, value in wanted.items()
    )
    return Fix(
        f"Raise {setting.rpartition(' ')[2]} of {each.name} to what is asked for",
        (
            f"# in cluster {each.name}:",
            f"circuit_breakers: {{thresholds: [{{{values}, max_retries: {limits.retries}}}]}}",
        ),
        language="text",
        risk="the members get that many more requests at once; the limit protects them",
        verify=VALIDATE,
        undo=f"{setting.rpartition(' ')[2]}: {limit}",
    )


@check("envoy.panic", step=Step.SCALE_OUT)
def panic(
    breakers: EnvoyBreakers, window: Window[EnvoyCounters], members: Window[ProxyGroups], /
) -> Iterator[Finding]:
    """So few members are healthy that Envoy sends requests to the unhealthy ones too.

    Why: below healthy_panic_threshold (50 %) health is ignored, so that the few do not break
    under the whole load; a part of the requests fails by design.
    How measured: lb_healthy_panic over the window, while a member is still up; with none left,
    proxy.member-down says it.
    Fix: bring members back; or refuse at once instead of sending to the dead.
    When to ignore: never.
    References: Envoy, "Panic threshold".
    """
    groups = by_name(members)
    for each in clusters(breakers, window):
        group = groups.get(each.name)
        if not each.grown["panics"] or group is None:
            continue
        down = [m for m in group.members if m.row.down]
        if len(down) == len(group.members):
            continue
        yield Finding(
            subject=each.name,
            summary=f"{each.name} is in panic: {each.grown['panics']:.0f} requests were spread "
            f"over all {len(group.members)} members, {len(down)} of them down",
            severity=Severity.HIGH,
            evidence=(
                Evidence("requests sent in panic", each.grown["panics"], "requests", 1.0, STATS),
                Evidence("members down", float(len(down)), f"of {len(group.members)}", None,
                         "/clusters"),
            ),
            fixes=(
                *(look_at("envoy", each.name, m.row.address) for m in down[:2]),
                Fix(
                    "Never send to a member that is down",
                    (
                        f"# in cluster {each.name}:",
                        "common_lb_config: {healthy_panic_threshold: {value: 0}}",
                    ),
                    language="text",
                    risk="the healthy ones get the whole load, and may break under it",
                    verify="envoy --mode validate -c envoy.yaml",
                    undo="common_lb_config: {healthy_panic_threshold: {value: 50}}",
                ),
            ),
            explains={f"envoy.cluster:{each.name}": len(down) / len(group.members)},
            impact=each.share("panics") * each.part * len(down) / len(group.members),
        )  # fmt: skip


@check("envoy.ejection-capped", step=Step.SCALE_OUT)
def ejection_capped(
    breakers: EnvoyBreakers, window: Window[EnvoyCounters], members: Window[ProxyGroups], /
) -> Iterator[Finding]:
    """Outlier detection finds a failing member and may not take it out.

    Why: max_ejection_percent is 10 % by default: of three members none may go, so that the
    failing one keeps its share of the requests.
    How measured: outlier_detection.ejections_overflow over the window.
    Fix: allow half of them.
    When to ignore: never in a group that small.
    References: Envoy, "Outlier detection", max_ejection_percent. Seen with 1.40: three members,
    one of them failing, 0 ejections and 54 that were not made.
    """
    groups = by_name(members)
    for each in clusters(breakers, window):
        if each.grown["ejections_capped"]:
            yield _capped(each, groups.get(each.name))


def _capped(each: Cluster, group: Group | None) -> Finding:
    members = group.members if group else ()
    worst = worst_member(members)
    subject = f"{each.name}/{worst.row.address}" if worst else each.name
    return Finding(
        subject=subject,
        summary=f"outlier detection may not take {worst.row.address if worst else 'a member'} "
        f"out of {each.name}: max_ejection_percent lets none of {len(members)} go",
        severity=Severity.MEDIUM,
        evidence=(
            Evidence("ejections not made", each.grown["ejections_capped"], "ejections", 1.0,
                     STATS),
            Evidence("its failed requests", (worst.failed or 0.0) if worst else 0.0, "requests",
                     None, "/clusters"),
        ),
        fixes=(
            Fix(
                "Let outlier detection take out half of the members",
                (
                    f"# in cluster {each.name}:",
                    "outlier_detection: {consecutive_5xx: 5, max_ejection_percent: 50}",
                ),
                language="text",
                risk="an error that all members share takes half of them out",
                verify="envoy --mode validate -c envoy.yaml; then scan: the member is ejected",
                undo="max_ejection_percent: 10",
            ),
        ),
        impact=each.share("errors") * each.part,
    )  # fmt: skip
