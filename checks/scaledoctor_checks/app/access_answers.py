"""What clients got, by the access log: errors and who made them, slow tails, those who gave up."""

from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Severity, Step, Unavailable, check
from scaledoctor.sources.access_log import AccessLog, Route
from scaledoctor_checks.app._log import ENOUGH, FEWEST, SOURCE, main_route, span
from scaledoctor_checks.app._words import milliseconds


@check("access.errors", step=Step.SCALE_OUT)
def errors(
    log: AccessLog,
    /,
    *,
    share: float = 0.01,
    high: float = 0.05,
    route_share: float = 0.25,
    fewest: int = 10,
    queued: float = 0.1,
) -> Iterator[Finding]:
    """Clients get answers of 500 and above.

    Why: each is a failed request; and who makes them tells where to look.
    How measured: status by route in the access log. Fires at ``share`` of at least 200 requests,
    as awesome-prometheus-alerts and Netdata warn between 1 and 5 %; high from ``high``. A single
    route fires at ``route_share`` of its own with ``fewest`` errors. An error is the upstream's
    when its status is in the log, nobody's when the upstream gave no valid answer (502, 504, a
    broken connection), else the balancer's. Those come from a queue when requests spend ``queued``
    of their time in the balancer's, which HAProxy's log tells.
    Fix: by who made them.
    When to ignore: a probe that means to fail.
    References: nginx manual, $upstream_status; HAProxy manual, "Session state at disconnection".
    """
    total = sum(route.errors for route in log.routes)
    requests = max(1, log.requests)
    many = requests >= ENOUGH and total >= share * requests
    failing = [
        route
        for route in log.routes
        if route.errors >= fewest and route.errors >= route_share * route.requests
    ]
    if not total or not (many or failing):
        return
    severity = Severity.HIGH if total >= high * requests and many else Severity.MEDIUM
    subject = main_route(log.routes, "errors")
    worst = next((r for r in log.routes if r.name == subject), None)
    yield Finding(
        subject=_server(log, total) or subject,
        summary=(
            f"{total} of {requests} requests {span(log)} failed ({total / requests:.1%})"
            + (f", {worst.errors} of them {worst.name}" if worst else "")
            + f": {_makers(log)}{_waited(log, queued)}"
        ),
        severity=severity,
        evidence=(
            Evidence("requests that failed", total / requests, "share", share, SOURCE),
            Evidence("requests", float(requests), span(log), source=SOURCE),
            *_by_maker(log),
            *(
                Evidence(f"{route.name} failed", route.errors / max(1, route.requests), "share",
                         route_share, SOURCE)
                for route in sorted(log.routes, key=lambda r: -r.errors)[:3]
                if route.errors
            ),
        ),
        fixes=(_look(log, queues=bool(_waited(log, queued))),),
        impact=total / requests,
    )  # fmt: skip


def _counts(log: AccessLog) -> tuple[int, int, int]:
    """Errors that the upstream made, that it left without answer, and the balancer's own."""
    answered = sum(route.answered for route in log.routes)
    unanswered = sum(route.unanswered for route in log.routes)
    return answered, unanswered, sum(r.errors for r in log.routes) - answered - unanswered


def _makers(log: AccessLog) -> str:
    if not log.answers:
        return "the log does not tell who made them"
    answered, unanswered, alone = _counts(log)
    words = [
        (answered, "made by the application"),
        (unanswered, "for want of an answer from the application"),
        (alone, "made by the balancer alone"),
    ]
    return ", ".join(f"{n} {text}" for n, text in sorted(words, reverse=True) if n)


def _waited(log: AccessLog, queued: float) -> str:
    """How long requests stand in the balancer's queue; empty when that is little of their time."""
    seconds = sum(route.seconds for route in log.routes)
    if not seconds or log.waited < queued * seconds:
        return ""
    each = milliseconds(log.waited / max(1, log.requests))
    return f"; a request waits {each} in the balancer's queue"


def _by_maker(log: AccessLog) -> Iterator[Evidence]:
    if log.answers:
        for name, count in zip(
            ("made by the application", "no answer from it", "made by the balancer"),
            _counts(log),
            strict=True,
        ):
            yield Evidence(name, float(count), "requests", source=SOURCE)


def _server(log: AccessLog, total: int) -> str:
    """The one server of several that nearly all errors come from."""
    worst = max(log.servers, key=lambda server: server.errors, default=None)
    if worst is None or len(log.servers) < 2 or worst.errors < 0.8 * total:
        return ""
    rest = [server for server in log.servers if server is not worst]
    clean = sum(s.errors for s in rest) <= 0.02 * sum(s.tries for s in rest)
    return worst.name if clean and worst.tries < 0.8 * sum(s.tries for s in log.servers) else ""


def _look(log: AccessLog, *, queues: bool) -> Fix:
    answered, unanswered, alone = _counts(log)
    lines: tuple[str, ...]
    if not log.answers or answered >= max(unanswered, alone):
        title, lines = (
            "Read the application's own log for these requests",
            ("journalctl -u YOUR-APP --since -15min -p err", "# or: the error tracker's newest"),
        )
    elif unanswered >= alone:
        title, lines = (
            "See why the application does not answer: is it down, restarting, or too slow?",
            (
                "ss -ltnp",
                "# nginx error.log: connect() failed (111: gone), timed out (110: slow)",
                "# HAProxy: SC no connection, SH no answer in timeout server, PH broken answer",
            ),
        )
    elif queues:
        title, lines = (
            "Requests queue in vain: see what the servers wait for, then give them room",
            ("scaledoctor scan --haproxy ... --dsn ... --pgbouncer ...",
             "# then: more servers, or a higher maxconn of each server line"),
        )  # fmt: skip
    else:
        title, lines = (
            "See which of the balancer's limits refuses the requests",
            ("# nginx error.log: limiting requests, no live upstreams",
             "# HAProxy: sQ queue timeout, <NOSRV> no server is up",
             "# Envoy: UH no healthy host, UO circuit breaker, RL rate limit"),
        )  # fmt: skip
    return Fix(
        title,
        lines,
        language="shell",
        risk="none: it only reads",
        verify="scaledoctor scan again: the share of failed requests falls",
        undo="none needed",
    )


@check("access.slow-tail", step=Step.TIGHTEN)
def slow_tail(
    log: AccessLog, /, *, slow: float = 2.0, times: float = 20.0, fewest: int = 400
) -> Iterator[Finding]:
    """One request in a hundred of a fast route is very slow.

    Why: a user who makes a hundred requests meets it; locks, a cold cache or one bad server hide
    behind a good median.
    How measured: request times by route in the access log, of routes with at least ``fewest``
    requests, so that four are beyond the 99th percentile. Fires when that is ``slow`` seconds and
    ``times`` the median.
    Fix: log the slow ones with what they waited for.
    When to ignore: a route with a few large answers or slow clients.
    References: "The Tail at Scale", Dean and Barroso.
    """
    if not log.timed:
        raise Unavailable(f"the log's format ({log.format}) has no times", "see access.no-timing")
    tails = [
        route
        for route in log.routes
        if route.requests >= fewest and route.p99 >= max(slow, times * route.p50)
    ]
    for route in sorted(tails, key=lambda r: -r.p99)[:3]:
        yield Finding(
            subject=route.name,
            summary=(
                f"{route.name}: the median is {milliseconds(route.p50)}, but one request in a "
                f"hundred takes {milliseconds(route.p99)} or more"
            ),
            severity=Severity.LOW,
            evidence=(
                Evidence("request time, p99", route.p99, "s", slow, SOURCE),
                Evidence("request time, median", route.p50, "s", source=SOURCE),
                Evidence("requests", float(route.requests), span(log), source=SOURCE),
            ),
            fixes=(_log_slow(route),),
            impact=min(1.0, 0.01 * log.worked(route) / log.busy if log.busy else 0.0),
        )


def _log_slow(route: Route) -> Fix:
    return Fix(
        f"Find what the slow requests of {route.name} wait for",
        (
            "# PostgreSQL: ALTER SYSTEM SET log_lock_waits = on; SELECT pg_reload_conf();",
            f"# the application: log requests above {milliseconds(route.p99)} with their parts",
        ),
        language="text",
        risk="a line in the log for each lock wait above deadlock_timeout",
        verify="the 99th percentile comes near the 95th",
        undo="ALTER SYSTEM RESET log_lock_waits; SELECT pg_reload_conf();",
    )


@check("access.client-aborts", step=Step.TIGHTEN)
def client_aborts(
    log: AccessLog, /, *, share: float = 0.05, slow: float = 1.0
) -> Iterator[Finding]:
    """Clients give up before they have their answer.

    Why: the work is done all the same, and a user who reloads doubles it.
    How measured: status 499 of nginx and Caddy, termination states C of HAProxy, flag DC of Envoy,
    by route. Fires at ``share`` of at least 200 requests; medium where the 95th percentile of the
    route is ``slow`` seconds, else low: fast answers are left for other reasons.
    Fix: make the route fast, and let the server stop what nobody waits for.
    When to ignore: health checks and load generators that cut connections.
    References: nginx source, NGX_HTTP_CLIENT_CLOSED_REQUEST.
    """
    total, requests = sum(route.aborted for route in log.routes), max(1, log.requests)
    if requests < ENOUGH or total < share * requests:
        return
    subject = main_route(log.routes, "aborted")
    p95 = max(
        (r.p95 for r in log.routes if r.aborted >= FEWEST and subject in (r.name, "all routes")),
        default=0.0,
    )
    yield Finding(
        subject=subject,
        summary=(
            f"{total} of {requests} requests {span(log)} were given up by their clients "
            f"({total / requests:.0%}), most of {subject}; p95 {milliseconds(p95)}"
        ),
        severity=Severity.MEDIUM if p95 >= slow else Severity.LOW,
        confidence=Confidence.MEDIUM,
        evidence=(
            Evidence("given up", total / requests, "share", share, SOURCE),
            Evidence("request time, p95", p95, "s", slow, SOURCE),
        ),
        fixes=(
            Fix(
                "End what nobody waits for, sooner than the client does",
                (
                    "# PostgreSQL: ALTER ROLE web SET statement_timeout = '5s';",
                    "# and a timeout of the application below that of its clients",
                ),
                language="text",
                risk="requests above the timeout fail instead of being slow",
                verify="scaledoctor scan again: the share of given-up requests falls",
                undo="ALTER ROLE web RESET statement_timeout;",
            ),
        ),
        impact=0.1 * total / requests,  # a symptom: whoever makes the route slow ranks first
    )
