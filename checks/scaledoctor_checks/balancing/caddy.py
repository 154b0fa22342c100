"""Caddy: errors and who made them, upstreams with a limit, and what it does not show."""

from collections import Counter
from collections.abc import Iterator

from scaledoctor.sdk import (
    Evidence,
    Finding,
    Fix,
    Kind,
    Severity,
    Step,
    Unavailable,
    Use,
    Window,
    check,
    resource,
)
from scaledoctor.sources.caddy import CaddyCounters
from scaledoctor.sources.proxies import ProxyGroup, ProxyGroups, ProxyLoad

SOURCE = "/metrics"

LISTED = 10
"""Upstreams in the headroom table: the fullest."""


@resource("caddy.upstream", step=Step.SCALE_OUT, on="caddy")
def upstream(
    groups: ProxyGroups,
    load: Window[ProxyLoad],
    /,
    *,
    warn: float = 0.75,
    critical: float = 0.9,
) -> Iterator[Use]:
    """Requests in hand of each upstream, of its limit.

    How measured: the most seen at once, against unhealthy_request_count or max_requests. Most
    have no limit, then there is no share. The busiest ten.
    Thresholds: a sample twice a second misses the short peaks, hence ``warn`` and ``critical``
    below one; at the limit Caddy takes the upstream for unhealthy.
    """
    peaks: Counter[str] = Counter()
    for sample in load:
        for member in sample.members:
            peaks[member.address] = max(peaks[member.address], member.active)
    limits = {m.address: m.most for g in groups.groups for m in g.members}
    rows = [(peak, address, limits.get(address)) for address, peak in peaks.items()]
    rows.sort(key=lambda row: (-(row[0] / row[2] if row[2] else 0.0), -row[0], row[1]))
    for peak, address, limit in rows[:LISTED]:
        yield Use(
            used=float(peak),
            limit=float(limit) if limit else None,
            unit="requests in hand",
            warn=warn,
            critical=critical,
            subject=address,
        )


@check("caddy.errors", step=Step.SCALE_OUT)
def errors(
    window: Window[CaddyCounters],
    members: Window[ProxyGroups] | None,
    /,
    *,
    share: float = 0.01,
    high: float = 0.05,
    least: int = 200,
) -> Iterator[Finding]:
    """A server's requests end with a 5xx.

    Why: users see it.
    How measured: 5xx over all requests of a server in the window, from ``share`` on, high from
    ``high``, with ``least`` requests or more. Who made them: what a handler of Caddy's could not
    serve is counted as an error (502 no connection to an upstream, 503 none that is healthy or
    has room, 504 no answer in time); the rest is the application's own. When the errors are
    Caddy's and a group of that server has no upstream that is up, proxy.member-down says it.
    Thresholds: awesome-prometheus-alerts has 5 % for 5xx.
    Fix: by who made them.
    When to ignore: a client that asks for what always fails.
    References: Caddy, "Monitoring Caddy with Prometheus metrics".
    """
    if len(window) < 2:
        raise Unavailable("one reading of Caddy's counters gives no rates", "scan with a --window")
    groups = members.last.groups if members else ()
    for server, codes in _grown(window).items():
        total = codes.total()
        bad = {code: n for code, n in codes.items() if code >= 500 and n}
        wrong = sum(bad.values())
        if total < least or wrong < share * total:
            continue
        before = window.first.errors.get(server, 0)
        own = min(wrong, max(0, window.last.errors.get(server, 0) - before))
        mine = [g for g in groups if g.name.split(" ")[0] == server]
        dark = any(g.members and all(m.down for m in g.members) for g in mine)
        if own > wrong / 2 and dark:
            continue
        yield _finding(server, total, bad, own, mine, (share, high))


def _grown(window: Window[CaddyCounters]) -> dict[str, Counter[int]]:
    """Requests of the window by server and status."""
    before = {(r.server, r.code): r.requests for r in window.first.rows}
    found: dict[str, Counter[int]] = {}
    for row in window.last.rows:
        grown = row.requests - before.get((row.server, row.code), 0)
        if grown < 0:
            raise Unavailable("Caddy's configuration was loaded anew in the window", "scan again")
        found.setdefault(row.server, Counter())[row.code] += grown
    return found


def _finding(
    server: str,
    total: int,
    bad: dict[int, int],
    own: int,
    mine: list[ProxyGroup],
    shares: tuple[float, float],
) -> Finding:
    wrong = sum(bad.values())
    caddys = own > wrong / 2
    code = max(bad, key=lambda c: bad[c])
    return Finding(
        subject=server,
        summary=f"{wrong} of {total} requests of {server} ended with a 5xx: {_who(caddys, code)}",
        severity=Severity.HIGH if wrong >= shares[1] * total else Severity.MEDIUM,
        evidence=(
            Evidence("5xx", wrong / total, "share", shares[0], SOURCE),
            Evidence("of them Caddy's own", float(own), "requests", None, SOURCE),
            *(Evidence(f"HTTP {c}", float(n), "requests", None, SOURCE)
              for c, n in sorted(bad.items())),
        ),
        fixes=(_fix(caddys, mine),),
        impact=min(1.0, wrong / total),
    )  # fmt: skip


def _who(caddys: bool, code: int) -> str:
    if not caddys:
        return "the application answered so itself"
    return {
        502: "Caddy got no connection to an upstream, or none that it understood",
        503: "no upstream was healthy or had room",
        504: "an upstream did not answer in time",
    }.get(code, "Caddy made them itself")


def _fix(caddys: bool, mine: list[ProxyGroup]) -> Fix:
    unchecked = [g.name for g in mine if not g.checked]
    if caddys:
        where = f"of {unchecked[0]}" if unchecked else "that fails"
        return Fix(
            "Take upstreams out when they do not answer, and try another one",
            (
                f"# in the reverse_proxy {where}:",
                "health_uri /health",
                "health_interval 5s",
                "fail_duration 10s",
                "lb_retries 1",
            ),
            language="text",
            risk="a health path that fails with the database takes all upstreams out",
            verify="caddy reload --config /etc/caddy/Caddyfile; the share of 5xx is down",
            undo="take the lines out again",
        )
    return Fix(
        "Read what the application says of these requests",
        ("scaledoctor scan --access-log /var/log/caddy/access.log",),
        language="shell",
        risk="none",
        verify="the routes with the errors are named",
        undo="none needed",
    )


@check("caddy.members-unseen", step=Step.IDENTIFY, on="caddy")
def members_unseen(groups: ProxyGroups, /) -> Iterator[Finding]:
    """Caddy counts by server, not by upstream.

    Why: an uneven spread, the time of one upstream and the upstream behind a 502 cannot be told;
    only what each has in hand at a moment is shown.
    How measured: its metrics have no label for the upstream.
    Fix: two fields in the access log.
    When to ignore: when another tool reads that log.
    References: Caddy, log_append; reverse_proxy, "Placeholders".
    """
    shared = [g.name for g in groups.groups if len(g.members) > 1]
    if not shared:
        return
    yield Finding(
        subject="upstreams",
        summary=f"Caddy counts by server: the share and the time of each upstream of {shared[0]} "
        "are in the access log only, and only when it is told to write them",
        severity=Severity.INFO,
        evidence=(Evidence("groups with several upstreams", float(len(shared)), "groups"),),
        fixes=(
            Fix(
                "Write the upstream into the access log, and give it to --access-log",
                (
                    "log {",
                    "    output file /var/log/caddy/access.log",
                    "}",
                    "log_append upstream {http.reverse_proxy.upstream.hostport}",
                    "log_append upstream_latency {http.reverse_proxy.upstream.latency_ms}",
                ),
                language="text",
                risk="a line of about 0.5 kB for each request",
                verify="scaledoctor scan --access-log /var/log/caddy/access.log",
                undo="take the lines out again",
            ),
        ),
        kind=Kind.BLIND_SPOT,
    )
