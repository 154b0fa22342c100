"""Errors of Envoy's clusters: who made them, and which ones retries hide."""

from collections.abc import Iterator, Mapping

from scaledoctor.sdk import Evidence, Finding, Fix, Severity, Step, Window, check
from scaledoctor.sources.envoy import EnvoyBreakers, EnvoyCounters
from scaledoctor.sources.proxies import ProxyGroups
from scaledoctor_checks.balancing._bounded import bounded
from scaledoctor_checks.balancing._envoy import (
    APPLICATION,
    REFUSED,
    STATS,
    Cluster,
    by_name,
    causes,
    clusters,
)
from scaledoctor_checks.balancing._proxies import Group, Served, look_at, worst_member

MINOR = 0.1
"""Of the first cause's tries: a second cause below it is left to the evidence."""


@check("envoy.errors", step=Step.SCALE_OUT)
def errors(
    breakers: EnvoyBreakers,
    window: Window[EnvoyCounters],
    members: Window[ProxyGroups],
    /,
    *,
    share: float = 0.01,
    high: float = 0.05,
    least: int = 200,
) -> Iterator[Finding]:
    """A cluster's requests end with a 5xx.

    Why: users see it.
    How measured: 5xx over answered requests of the window, from ``share`` on, high from ``high``,
    with ``least`` requests or more. Who made them: tries that found no connection, no usable
    member or no answer in time, and the rest, which the application answered itself; the member
    with half of the failed tries is named. What the circuit breakers refused is told by
    envoy.overflow, a cluster without a member that is up by proxy.member-down. Thresholds:
    awesome-prometheus-alerts has 5 % for 5xx.
    Fix: the member, or the application's own log.
    When to ignore: a client that asks for what always fails.
    References: Envoy, "Cluster statistics", "Response flags".
    """
    groups = by_name(members)
    yield from bounded(
        _finding(c, groups.get(c.name), "errors", (share, high))
        for c in clusters(breakers, window)
        if c.grown["completed"] >= least and c.share("errors") >= share and not _told(c, groups)
    )


@check("envoy.retries", step=Step.SCALE_OUT)
def retries(
    breakers: EnvoyBreakers,
    window: Window[EnvoyCounters],
    members: Window[ProxyGroups],
    /,
    *,
    share: float = 0.01,
    high: float = 0.05,
    least: int = 200,
) -> Iterator[Finding]:
    """Retries hide failures of a cluster's members.

    Why: each costs a second request, and takes longer; when the cause grows, Envoy's limit of
    three retries at once lets the failures through at one blow.
    How measured: retries over answered requests of the window, from ``share`` on, medium from
    ``high``, with ``least`` requests or more, while the errors are below ``share``: above it
    envoy.errors tells of the same failures.
    Fix: the member that fails.
    When to ignore: a deployment that goes on.
    References: Envoy, "x-envoy-retry-on", upstream_rq_retry.
    """
    groups = by_name(members)
    yield from bounded(
        _finding(c, groups.get(c.name), "retries", (share, high))
        for c in clusters(breakers, window)
        if c.grown["completed"] >= least
        and c.share("errors") < share <= c.share("retries")
        and not _told(c, groups)
    )


def _told(each: Cluster, groups: Mapping[str, Group]) -> bool:
    """Whether another check says it: refused by the limits, in panic, or nobody is up."""
    group = groups.get(each.name)
    if each.grown["panics"] or (group and all(m.row.down for m in group.members)):
        return True
    return [words for words, _ in causes(each, group)][:1] == [REFUSED]


def _finding(
    each: Cluster, group: Group | None, counter: str, shares: tuple[float, float]
) -> Finding:
    count, share = each.grown[counter], each.share(counter)
    found = causes(each, group)
    worst = worst_member(group.members) if group else None
    told = [(words, times) for words, times in found[:2] if times >= MINOR * found[0][1]]
    why = "; ".join(
        f"{words}, {times:.0f} {'try' if times == 1 else 'tries'}" for words, times in told
    )
    why = why or "cause unknown"
    hidden = counter == "retries"
    severity = Severity.HIGH if share >= shares[1] else Severity.MEDIUM
    if hidden:
        severity = Severity.MEDIUM if share >= shares[1] else Severity.LOW
    start = f"{count:.0f} of {each.grown['completed']:.0f} requests for {each.name}"
    end = f" ({_whose(worst)})" if worst else ""
    return Finding(
        subject=f"{each.name}/{worst.row.address}" if worst else each.name,
        summary=f"{start} {'had to be tried again' if hidden else 'ended with a 5xx'}: {why}{end}",
        severity=severity,
        evidence=(
            Evidence("retried" if hidden else "ended with a 5xx", share, "share", shares[0], STATS),
            Evidence("retries refused", each.grown["retries_refused"], "retries", None, STATS),
            *(Evidence(words, times, "tries", None, "/clusters") for words, times in found),
        ),
        fixes=tuple(_fixes(each, found, worst)),
        impact=share * each.part,
    )


def _whose(worst: Served) -> str:
    failed = worst.failed or 0.0
    what = "answers 5xx"
    if worst.unconnected >= failed / 2:
        what = "refuses connections"
    elif worst.timeouts >= failed / 2:
        what = "does not answer in time"
    return f"{worst.row.address} {what}: {failed:.0f} failed {'try' if failed == 1 else 'tries'}"


def _fixes(each: Cluster, found: list[tuple[str, float]], worst: Served | None) -> Iterator[Fix]:
    if worst:
        yield look_at("envoy", each.name, worst.row.address)
    elif found and found[0][0] == APPLICATION:
        yield Fix(
            "Read what the application says of these requests",
            ("scaledoctor scan --access-log /var/log/envoy/access.log",),
            language="shell",
            risk="none",
            verify="the routes with the errors are named",
            undo="none needed",
        )
    else:
        yield Fix(
            "See the response flags of the failed requests: UF no connection, UT time-out, UH no "
            "usable member",
            ("grep -E ' 50[234] ' /var/log/envoy/access.log | tail",),
            language="shell",
            risk="none",
            verify="the share of 5xx goes down",
            undo="none needed",
        )
