"""Traefik: errors and who made them, failures that retries hide, and what it does not show."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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

    def worst(self) -> tuple[str, float, float]:
        """The service with the most failed tries, how many, and how many reached no server."""
        failed: Counter[str] = Counter()
        unreached: Counter[str] = Counter()
        for (name, code), count in self.tries.items():
            if code >= 500:
                failed[name] += count
                unreached[name] += count if code in UNREACHED else 0
        if not failed:
            return "", 0.0, 0.0
        name, count = max(failed.items(), key=lambda item: (item[1], item[0]))
        return name, float(count), float(unreached[name])


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
    A service without a server that is up is told by proxy.member-down. Thresholds:
    awesome-prometheus-alerts has 5 % for 5xx.
    Fix: by who made them.
    When to ignore: a client that asks for what always fails.
    References: Traefik, "Metrics", circuitBreaker.
    """
    traffic = _traffic(window)
    wrong = traffic.bad / traffic.total if traffic.total else 0.0
    if traffic.total < least or wrong < share:
        return
    groups = members.last.groups if members else ()
    dark = [g.name for g in groups if g.used and g.members and all(m.down for m in g.members)]
    name, failed, unreached = traffic.worst()
    counted = bool(window.last.services)
    own = counted and traffic.own > failed
    if own and dark:
        return
    subject = "traefik" if own else name or "entry points"
    yield Finding(
        subject=subject,
        summary=f"{traffic.bad:.0f} of {traffic.total:.0f} requests ended with a 5xx: "
        + _who(name, failed, unreached, own, counted),
        severity=Severity.HIGH if wrong >= high else Severity.MEDIUM,
        confidence=Confidence.HIGH if counted else Confidence.LOW,
        evidence=(
            Evidence("5xx that clients got", wrong, "share", share, SOURCE),
            Evidence("made without asking a server", traffic.own if counted else "unknown",
                     "requests" if counted else "", None, SOURCE),
            Evidence("servers that did not answer", unreached, "tries", None, SOURCE),
            Evidence("5xx of the application", failed - unreached, "tries", None, SOURCE),
        ),
        fixes=(_fix(name, unreached > failed / 2, own, counted),),
        impact=min(1.0, wrong),
    )  # fmt: skip


def _who(name: str, failed: float, unreached: float, own: bool, counted: bool) -> str:
    if not counted:
        return "by whom is not counted (addServicesLabels is off)"
    if own:
        return "Traefik made them itself, by a circuit breaker or another middleware"
    if unreached > failed / 2:
        return f"servers of {name} did not answer, {unreached:.0f} tries"
    return f"{name} answered so itself, {failed - unreached:.0f} times"


def _fix(name: str, unreached: bool, own: bool, counted: bool) -> Fix:
    short = name.partition("@")[0]
    lines: tuple[str, ...] = (LABELS,)
    if not counted:
        title = "Count requests by service too"
    elif own:
        title = "See which middleware answered"
        lines = ("grep -E 'CircuitBreaker|middlewareName' /var/log/traefik/traefik.log | tail",)
    elif unreached:
        title = f"Take servers of {name} out when they do not answer"
        lines = (
            f"# in http.services.{short}.loadBalancer:",
            "healthCheck: {path: /health, interval: 5s, timeout: 1s}",
        )
    else:
        title = f"Read what {name} says of these requests"
        lines = ("scaledoctor scan --access-log /var/log/traefik/access.log",)
    return Fix(
        title,
        lines,
        language="text",
        risk="a health path that fails with the database takes all servers out"
        if unreached
        else "none",
        verify="scan again: the share of 5xx is down",
        undo="take the lines out again" if unreached or not counted else "none needed",
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
    name, failed, unreached = traffic.worst()
    if part < share:
        return
    yield Finding(
        subject=name,
        summary=f"retries hide {hidden:.0f} failed tries in {traffic.total:.0f} requests: "
        + _who(name, failed, unreached, False, True),
        severity=Severity.MEDIUM if part >= high else Severity.LOW,
        evidence=(
            Evidence("failed tries that no client saw", part, "share", share, SOURCE),
            Evidence("servers that did not answer", unreached, "tries", None, SOURCE),
        ),
        fixes=(_fix(name, unreached > failed / 2, False, True),),
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
