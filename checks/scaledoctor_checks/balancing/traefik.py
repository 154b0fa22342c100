"""Traefik: errors and who made them, failures that retries hide, and what it does not show."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from scaledoctor.sdk import (
    Confidence,
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
from scaledoctor.sources.proxies import ProxyGroups
from scaledoctor.sources.traefik import TraefikCounters, TraefikRow

SOURCE = "/metrics"

UNREACHED = frozenset((502, 504))
"""What Traefik answers itself when a server does not: no connection, no answer in time."""

LISTED = 10
"""Services in the headroom table: the busiest."""

LABELS = "--metrics.prometheus.addServicesLabels=true"


@dataclass(frozen=True, slots=True)
class _Traffic:
    """Requests of the window by entry point and by (service, code); a service counts each try."""

    total: float
    clients: Counter[int]
    tries: Counter[tuple[str, int]]

    @property
    def bad(self) -> float:
        """Answers of 5xx that clients got."""
        return float(sum(n for code, n in self.clients.items() if code >= 500))

    @property
    def failed(self) -> float:
        """Tries that ended with a 5xx."""
        return float(sum(n for (_, code), n in self.tries.items() if code >= 500))

    @property
    def own(self) -> float:
        """Answers of 5xx that no service was asked for: no server, a breaker, a middleware."""
        asked: Counter[int] = Counter()
        for (_, code), count in self.tries.items():
            asked[code] += count
        return float(
            sum(max(0, n - asked[code]) for code, n in self.clients.items() if code >= 500)
        )

    def failing(self) -> list[tuple[str, float, float]]:
        """Services with failed tries, how many, and how many reached no server; most first."""
        failed: Counter[str] = Counter()
        unreached: Counter[str] = Counter()
        for (name, code), count in self.tries.items():
            if code >= 500:
                failed[name] += count
                unreached[name] += count if code in UNREACHED else 0
        found = sorted(failed.items(), key=lambda item: (-item[1], item[0]))
        return [(name, float(n), float(unreached[name])) for name, n in found if n]


def _traffic(window: Window[TraefikCounters]) -> _Traffic:
    if len(window) < 2:
        raise Unavailable(
            "one reading of Traefik's counters gives no rates", "scan with a --window"
        )
    clients: Counter[int] = Counter()
    for (_, code), count in _grown(window.first.entrypoints, window.last.entrypoints).items():
        clients[code] += count
    tries = _grown(window.first.services, window.last.services)
    return _Traffic(float(clients.total()), clients, tries)


def _grown(first: Sequence[TraefikRow], last: Sequence[TraefikRow]) -> Counter[tuple[str, int]]:
    before = {(r.name, r.code): r.requests for r in first}
    grown = Counter({(r.name, r.code): r.requests - before.get((r.name, r.code), 0) for r in last})
    if any(count < 0 for count in grown.values()):
        raise Unavailable("Traefik was started anew in the window", "scan again")
    return grown


@resource("traefik.service", step=Step.SCALE_OUT)
def service(
    window: Window[TraefikCounters], /, *, warn: float = 0.75, critical: float = 0.9
) -> Iterator[Use]:
    """Requests in hand of each service, mean.

    How measured: the seconds of all its requests over the seconds of the window (Little's law);
    Traefik has no limit of its own, so that there is no share. The busiest ten.
    Thresholds: ``warn`` and ``critical`` are unused until it has one.
    """
    if window.seconds <= 0:
        return
    spent: dict[str, float] = {}
    for sign, rows in ((-1, window.first.services), (1, window.last.services)):
        for row in rows:
            spent[row.name] = spent.get(row.name, 0.0) + sign * row.seconds
    for name in sorted(spent, key=lambda n: -spent[n])[:LISTED]:
        if spent[name] > 0:
            yield Use(
                used=spent[name] / window.seconds,
                limit=None,
                unit="requests in hand, mean",
                warn=warn,
                critical=critical,
                subject=name,
            )


@check("traefik.errors", step=Step.SCALE_OUT)
def errors(
    window: Window[TraefikCounters],
    members: Window[ProxyGroups] | None,
    /,
    *,
    share: float = 0.01,
    high: float = 0.05,
    least: int = 200,
) -> Iterator[Finding]:
    """Requests end with a 5xx.

    Why: users see it.
    How measured: 5xx of the entry points over all their requests of the window, from ``share``
    on, high from ``high``, with ``least`` requests or more. Who made them: what the entry points
    count and no service does is Traefik's own (no server up, a circuit breaker, a middleware);
    502 and 504 of a service are servers that do not answer; the rest comes from the application.
    Each that makes ``share`` of all requests fail is named. A service without a server that is
    up is told by proxy.member-down. Thresholds: awesome-prometheus-alerts has 5 % for 5xx.
    Fix: by who made them.
    When to ignore: a client that asks for what always fails.
    References: Traefik, "Metrics", circuitBreaker.
    """
    traffic = _traffic(window)
    wrong = traffic.bad / traffic.total if traffic.total else 0.0
    if traffic.total < least or wrong < share:
        return
    severity = Severity.HIGH if wrong >= high else Severity.MEDIUM
    groups = members.last.groups if members else ()
    dark = any(g.used and g.members and all(m.down for m in g.members) for g in groups)
    if not window.last.services:
        yield _finding(traffic, "entry points", traffic.bad, _Blame.UNKNOWN, severity)
        return
    if traffic.own >= share * traffic.total and not dark:
        yield _finding(traffic, "traefik", traffic.own, _Blame.TRAEFIK, severity)
    for name, failed, unreached in traffic.failing():
        if failed >= share * traffic.total:
            blame = _Blame.SERVER if unreached > failed / 2 else _Blame.APPLICATION
            yield _finding(traffic, name, failed, blame, severity)


class _Blame(StrEnum):
    """Who made a 5xx."""

    UNKNOWN = "by whom is not counted (addServicesLabels is off)"
    TRAEFIK = "Traefik made them itself: a circuit breaker or another middleware"
    SERVER = "servers of {name} did not answer"
    APPLICATION = "{name} answered so itself"


def _finding(
    traffic: _Traffic, subject: str, count: float, blame: _Blame, severity: Severity
) -> Finding:
    wrong = traffic.bad / traffic.total
    who = blame.format(name=subject)
    return Finding(
        subject=subject,
        summary=f"{traffic.bad:.0f} of {traffic.total:.0f} requests ended with a 5xx: {who}, "
        f"{count:.0f} times",
        severity=severity,
        confidence=Confidence.LOW if blame is _Blame.UNKNOWN else Confidence.HIGH,
        evidence=(
            Evidence("5xx that clients got", wrong, "share", None, SOURCE),
            Evidence(who, count, "times", None, SOURCE),
        ),
        fixes=(_fix(subject, blame),),
        impact=min(wrong, count / traffic.total),
    )


def _fix(name: str, blame: _Blame) -> Fix:
    again = "scan again: the share of 5xx is down"
    if blame is _Blame.UNKNOWN:
        return Fix(
            "Count requests by service too", (LABELS,), "text", "none", again, "leave it out"
        )
    if blame is _Blame.TRAEFIK:
        log = "grep -E 'CircuitBreaker|middlewareName' /var/log/traefik/traefik.log | tail"
        return Fix("See which middleware answered", (log,), "shell", "none", again, "none needed")
    if blame is _Blame.APPLICATION:
        log = "scaledoctor scan --access-log /var/log/traefik/access.log"
        title = f"Read what {name} says of these requests"
        return Fix(title, (log,), "shell", "none", again, "none needed")
    return Fix(
        f"Take servers of {name} out when they do not answer",
        (
            f"# in http.services.{name.partition('@')[0]}.loadBalancer:",
            "healthCheck: {path: /health, interval: 5s, timeout: 1s}",
        ),
        "text",
        "a health path that fails with the database takes all servers out",
        again,
        "take the lines out again",
    )


@check("traefik.retries", step=Step.SCALE_OUT)
def retries(
    window: Window[TraefikCounters],
    /,
    *,
    share: float = 0.01,
    high: float = 0.05,
    least: int = 200,
) -> Iterator[Finding]:
    """Retries hide failures of a service's servers.

    Why: each costs a second try, and when the cause grows there is nobody left to retry on.
    How measured: tries of the services that ended with a 5xx, less the 5xx that clients got
    from them, over all requests of the window: from ``share`` on, medium from ``high``, with
    ``least`` requests or more, while the 5xx of clients are below ``share``: above it
    traefik.errors tells of the same failures. Traefik counts them by service; which server it
    is stands in the access log only.
    Fix: a health check, so that the server that fails is not tried at all.
    When to ignore: a deployment that goes on.
    References: Traefik, retry middleware.
    """
    traffic = _traffic(window)
    if traffic.total < least or traffic.bad >= share * traffic.total:
        return
    hidden = traffic.failed - (traffic.bad - traffic.own)
    part = hidden / traffic.total
    if part < share:
        return
    name, failed, unreached = traffic.failing()[0]
    blame = _Blame.SERVER if unreached > failed / 2 else _Blame.APPLICATION
    yield Finding(
        subject=name,
        summary=f"retries hide {hidden:.0f} failed tries in {traffic.total:.0f} requests: "
        f"{blame.format(name=name)}, {failed:.0f} times",
        severity=Severity.MEDIUM if part >= high else Severity.LOW,
        evidence=(
            Evidence("failed tries that no client saw", part, "share", share, SOURCE),
            Evidence("servers that did not answer", unreached, "tries", None, SOURCE),
        ),
        fixes=(_fix(name, blame),),
        impact=min(1.0, part),
    )


@check("traefik.members-unseen", step=Step.IDENTIFY, on="traefik")
def members_unseen(groups: ProxyGroups, /) -> Iterator[Finding]:
    """Traefik counts by service, not by server.

    Why: a slow server, an uneven spread and the server behind a 502 cannot be told.
    How measured: its metrics have the label service, none for the server.
    Fix: the access log in JSON has ServiceURL, OriginDuration and RetryAttempts.
    When to ignore: when another tool reads that log.
    References: Traefik, "Access logs".
    """
    shared = [g.name for g in groups.groups if g.used and len(g.members) > 1]
    if not shared:
        return
    yield Finding(
        subject="servers",
        summary=f"Traefik counts by service: which server of {shared[0]} is slow or gets more "
        "than its share is in the access log only",
        severity=Severity.INFO,
        evidence=(Evidence("services with several servers", float(len(shared)), "services"),),
        fixes=(
            Fix(
                "Write the access log in JSON, and give it to --access-log",
                (
                    "--accesslog.format=json",
                    "--accesslog.filepath=/var/log/traefik/access.log",
                ),
                language="text",
                risk="a line of about 1 kB for each request; rotate it",
                verify="scaledoctor scan --access-log /var/log/traefik/access.log",
                undo="take the two options out again",
            ),
        ),
        kind=Kind.BLIND_SPOT,
    )
