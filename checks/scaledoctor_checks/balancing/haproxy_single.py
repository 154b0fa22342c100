"""Backends that have one server only."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Kind, Severity, Step, Window, check
from scaledoctor.sources.haproxy import HaproxyNow, HaproxyStats
from scaledoctor_checks.balancing._bounded import bounded
from scaledoctor_checks.balancing._haproxy import SOURCE, Group, traffic
from scaledoctor_checks.balancing._haproxy_words import runtime, setting


@check("haproxy.single-server", step=Step.SCALE_OUT)
def single_server(
    stats: Window[HaproxyStats], now: Window[HaproxyNow], /, *, share: float = 0.1
) -> Iterator[Finding]:
    """A backend that carries traffic has one server only, and no backup.

    Why: when it fails or restarts, every request gets 503; and it cannot be scaled out in an
    hour of need if it was never run twice.
    How measured: one server in the backend, which gets ``share`` of all requests or more.
    Fix: a second server, or a backup.
    When to ignore: when that server is a balancer itself, or may be down.
    References: HAProxy, configuration manual, "server" and "backup".
    """
    found = traffic(stats, now)
    yield from bounded(
        _alone(group)
        for group in found.groups
        if group.row.servers == 1 and group.requests and found.lost(group.requests) >= share
    )


def _alone(group: Group) -> Finding:
    name = group.row.name
    server = group.servers[0].key if group.servers else name
    return Finding(
        subject=name,
        summary=f"backend {name} has one server, {server}: when it fails, every request does",
        severity=Severity.MEDIUM,
        evidence=(
            Evidence("servers", 1.0, "", 2, SOURCE),
            Evidence("requests in the window", group.requests, "requests", None, SOURCE),
        ),
        fixes=(
            setting(
                f"Add a second server to backend {name}",
                (f"# in backend {name}", "server NEW ADDRESS:PORT check"),
                risk="sessions that live in the first one's memory are not in the second",
                verify=runtime("show stat") + f" | grep ^{name},  # both UP",
            ),
        ),
        kind=Kind.RISK,
    )
