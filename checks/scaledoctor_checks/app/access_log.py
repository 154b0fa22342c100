"""The application's workers as the access log shows them: how many are busy, and with what."""

from collections.abc import Iterator
from dataclasses import dataclass

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Severity,
    Step,
    Unavailable,
    Use,
    Window,
    check,
    resource,
)
from scaledoctor.sources.access_log import AccessLog, Route
from scaledoctor.sources.postgres import Activity
from scaledoctor_checks.app._log import FEWEST, SOURCE, is_job, span
from scaledoctor_checks.app._words import milliseconds


@resource("app.workers", step=Step.SCALE_OUT)
def workers(log: AccessLog, /) -> Use | None:
    """Workers of the application that are busy with requests, on average.

    How measured: the sum of all upstream times over the span of the log, by Little's law; of
    request times where the log has no others, slow clients included. Waiting are the requests in
    HAProxy's queue, by the same law.
    Thresholds: none: an access log does not tell how many workers there are.
    """
    if not log.seconds or not (log.timed or log.upstream_timed):
        return None
    kind = "upstream" if log.upstream_timed else "request"
    return Use(
        used=log.busy / log.seconds,
        limit=None,
        unit="busy workers",
        warn=0.75,
        critical=0.9,
        waiting=log.waited / log.seconds,
        detail=f"{log.busy / log.seconds:.1f} busy workers: {kind} time {span(log)}",
    )


@dataclass(frozen=True, slots=True)
class _Load:
    """A route's share of all work, and the workers it keeps busy.

    ``database`` is the share of the busy workers for which a session of the database works,
    ``blocked`` of those for which one waits for a lock.
    """

    route: Route
    share: float
    busy: float
    p95: float
    database: float
    blocked: float


def _loads(log: AccessLog, activity: Window[Activity] | None) -> list[_Load]:
    """Every route of enough requests, the one with most work first."""
    if not (log.timed or log.upstream_timed):
        raise Unavailable(
            f"the log's format ({log.format}) has no times",
            "see access.no-timing for a log_format that has them",
        )
    if not log.seconds or not log.busy:
        return []
    total = max(log.busy / log.seconds, 1e-9)
    known = activity if log.live else None  # a saved log is of another time than the database
    active = known.mean(lambda a: sum(s.active for s in a.sessions)) / total if known else 0.0
    blocked = known.mean(lambda a: sum(s.blocked for s in a.sessions)) / total if known else 0.0
    return [
        _Load(
            route=route,
            share=log.worked(route) / log.busy,
            busy=log.worked(route) / log.seconds,
            p95=route.spent_p95 if log.upstream_timed else route.p95,
            database=min(1.0, max(0.0, active - blocked)),
            blocked=min(1.0, blocked),
        )
        for route in log.routes
        if route.requests >= FEWEST and not route.name.startswith("(")
    ]


@check("access.offload-route", step=Step.OFFLOAD)
def offload_route(
    log: AccessLog,
    activity: Window[Activity] | None,
    /,
    *,
    slow: float = 1.0,
    busy: float = 0.5,
    share: float = 0.1,
    high: float = 0.25,
    database: float = 0.5,
) -> Iterator[Finding]:
    """A route does long work while its client waits, and keeps workers busy with it.

    Why: every worker that renders a report is one less for short requests; when all do, pages
    that need 5 ms wait for seconds.
    How measured: upstream time by route in the access log (request time where there is no other).
    Fires when the slowest 5 % of at least 20 requests take ``slow`` seconds, the route keeps
    ``busy`` workers busy and has ``share`` of all work, and it writes or its name says that it is
    a job (export, report, mail, import ...). High from ``high`` of all work. Below ``busy``
    workers, or where the database works for ``database`` of all busy workers, it is low.
    Fix: put the work into a queue, answer 202 at once, and let own workers do it.
    When to ignore: a page whose result the client needs at once: tighten it instead.
    References: Little's law; RFC 9110, 15.3.3 (202 Accepted).
    """
    for load in _loads(log, activity):
        if load.p95 < slow or load.share < share or not is_job(load.route):
            continue
        minor = load.busy < busy or load.database >= database
        if minor and load.share < high:
            continue
        severity = Severity.HIGH if load.share >= high else Severity.MEDIUM
        yield Finding(
            subject=load.route.name,
            summary=_summary(load, log),
            severity=Severity.LOW if minor else severity,
            confidence=Confidence.MEDIUM,
            evidence=_evidence(load, log, slow, busy),
            fixes=(_queue(load.route),),
            explains={"app.workers": load.share},
            waits_for={"postgres.locks": load.blocked} if load.blocked else {},
            impact=load.share * min(1.0, load.busy),
        )


@check("access.heavy-route", step=Step.TIGHTEN)
def heavy_route(
    log: AccessLog,
    activity: Window[Activity] | None,
    /,
    *,
    slow: float = 1.0,
    busy: float = 1.0,
    share: float = 0.5,
    database: float = 0.5,
) -> Iterator[Finding]:
    """One slow page takes most of the application's time.

    Why: it decides how many workers are needed; halving it saves more than all other pages have.
    How measured: upstream time by route in the access log (request time where there is no other).
    Fires when the slowest 5 % of at least 20 requests take ``slow`` seconds, the route keeps
    ``busy`` workers busy and has ``share`` of all work, and it is no job for a queue (see
    access.offload-route). Where the database works for ``database`` of all busy workers it is
    low: the statement is what to look at.
    Fix: profile it; cache what it gives.
    When to ignore: a server that has this one page, with workers to spare.
    References: Little's law.
    """
    for load in _loads(log, activity):
        if load.p95 < slow or load.busy < busy or load.share < share or is_job(load.route):
            continue
        low = load.database >= database
        yield Finding(
            subject=load.route.name,
            summary=_summary(load, log),
            severity=Severity.LOW if low else Severity.MEDIUM,
            confidence=Confidence.MEDIUM,
            evidence=_evidence(load, log, slow, busy),
            fixes=(_profile(load.route),),
            explains={"app.workers": load.share},
            waits_for={"postgres.locks": load.blocked} if load.blocked else {},
            impact=load.share * min(1.0, load.busy) / 2,
        )


def _summary(load: _Load, log: AccessLog) -> str:
    words = (
        f"{load.route.name} keeps {load.busy:.1f} workers busy, {load.share:.0%} of the "
        f"application's time {span(log)}: p95 {milliseconds(load.p95)}"
    )
    if load.database >= 0.5:
        words += f"; the database works for {load.database:.0%} of the busy workers"
    return words


def _evidence(load: _Load, log: AccessLog, slow: float, busy: float) -> tuple[Evidence, ...]:
    route = load.route
    kind = "upstream time" if log.upstream_timed else "request time"
    mean = log.worked(route) / route.requests
    found = [
        Evidence("workers it keeps busy", load.busy, "workers", busy, SOURCE),
        Evidence("share of all work", load.share, "share", source=SOURCE),
        Evidence(f"{kind}, p95", load.p95, "s", slow, SOURCE),
        Evidence(f"{kind}, mean", mean, "s", source=SOURCE),
        Evidence("requests", float(route.requests), span(log), source=SOURCE),
    ]
    if log.timed and log.upstream_timed:
        found.append(Evidence("request time, p99", route.p99, "s", source=SOURCE))
    return tuple(found)


def _queue(route: Route) -> Fix:
    return Fix(
        f"Answer {route.name} at once and do the work in a queue",
        (
            "# Celery: task.delay(...); RQ: queue.enqueue(...); Sidekiq: Worker.perform_async",
            "# answer 202 with Location: /jobs/ID, where the client asks for the result",
            "# workers of their own: they must not take the web server's",
        ),
        language="text",
        risk="the result comes later: the client must ask for it, or be told",
        verify="scaledoctor scan with the same log: its p95 is that of an enqueue",
        undo="call the function in the request again",
    )


def _profile(route: Route) -> Fix:
    return Fix(
        f"See what {route.name} does, then cache its result",
        (
            "py-spy record --duration 30 --output profile.svg --pid PID",
            "# and with --dsn the statements: scaledoctor scan --dsn ... --access-log ...",
        ),
        language="shell",
        risk="a profiler costs a few per cent while it runs",
        verify=f"scaledoctor scan again: the share of {route.name} falls",
        undo="none needed",
    )
