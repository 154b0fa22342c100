"""Statements that the application repeats for each row of a list."""

from collections.abc import Iterator, Mapping

from scaledoctor.logs.nplusone.judging import Pattern
from scaledoctor.logs.nplusone.report import Repeated, RepeatedQueries
from scaledoctor.sdk import Confidence, Evidence, Finding, Kind, Severity, Step, Window, check
from scaledoctor.sources.host import Processes
from scaledoctor.sources.pgbouncer import PoolerDatabases, PoolerServers
from scaledoctor.sources.postgres import Activity, Server, Session
from scaledoctor_checks.app._own_log import superseded
from scaledoctor_checks.app._repeats import exact, fixes, merged, same, subject, summary
from scaledoctor_checks.pooling._inside import Inside, inside
from scaledoctor_checks.postgres._heavy import database_share

SOURCE = "SQL log"

MINOR = frozenset({Pattern.WRITES, Pattern.TRANSACTIONS})
"""They cost round trips, but no page waits for a list of them: never more than low."""


@check("app.n-plus-one", step=Step.TIGHTEN, about=("host.cpu", "pgbouncer.pool"))
def n_plus_one(
    log: RepeatedQueries,
    server: Server | None = None,
    pooler: PoolerDatabases | None = None,
    processes: Window[Processes] | None = None,
    servers: Window[PoolerServers] | None = None,
    activity: Window[Activity] | None = None,
    logs: list[RepeatedQueries] | None = None,
    /,
    *,
    cost: float = 0.01,
    share: float = 0.005,
    fewest: int = 50,
    medium_calls: float = 0.1,
    medium_time: float = 0.05,
    high_calls: float = 0.5,
    high_time: float = 0.25,
    long: int = 100,
    pipelined: float = 0.0001,
    notable: float = 0.05,
    sessions: float = 0.01,
) -> Iterator[Finding]:
    """A page asks the database again for each row of a list (N+1).

    Why: each is a round trip; a page of 100 rows waits for 101 of them, and holds its connection
    and its worker all the while. The server's own time for it is small, so that no list of slow
    statements shows it.
    How measured: a SQL log, request by request: by trace or request id, by the client's name that
    application_name_add_host gives, by transaction, else by session with its pauses. A look-up by
    equality with a value that varies, at least 5 times in a request, behind a statement that
    gives several rows and comes a third as often at most. Also the same look-up 10 times in one
    request, and 10 single-row writes. What costs less than ``cost`` seconds (execution and round
    trips) and ``share`` of the database's time is left out, and so are writes less than
    ``pipelined`` seconds apart: their driver sends them together. Medium from ``medium_calls`` of
    all statements, ``medium_time`` of the database's time or ``long`` per request, high from
    ``high_calls`` or ``high_time``; low below ``fewest`` executions in all, and for writes.
    Suspected only, as a risk from ``notable`` of all statements or time, where pauses are long, or
    several clients share a session through a pooler and nothing tells their statements apart.
    Thresholds: Sentry and Scout begin at 5; cost and pauses are those that tell 49 repeated
    statements from 20 look-alikes in logs of several ORMs.
    In a server's own log, which nobody asked to look at, what holds fewer than ``sessions``
    sessions on average is a risk: an idle server has no bottleneck, whatever the shares.
    It explains its share of the cores by its share of time, and of a PgBouncer pool by the
    sessions that were seen in it.
    Fix: load the rows together with their list, in the ORM's own words; the statement that asks
    for all at once.
    When to ignore: a batch job at night that nobody waits for.
    References: Django "Database access optimization"; SQLAlchemy "Relationship Loading
    Techniques"; PgBouncer "application_name_add_host"; sqlcommenter.
    """
    if superseded(log, logs):
        return
    pooled = log.pooled or pooler is not None or bool(server and server.pooled)
    cpu = database_share(server, processes) if server and log.live else 0.0
    pools = inside(servers, pooler, activity) if log.live else {}
    for one in merged(log.found):
        share_calls = one.calls / max(log.statements, 1)
        share_time = one.seconds / log.busy if log.busy else None
        if one.held < cost and (share_time or share_calls) < share:
            continue
        if one.pattern in MINOR and one.waited < pipelined * one.calls:
            continue
        suspected = one.grade == Confidence.LOW or (pooled and not one.sure)
        if suspected and max(share_calls, share_time or 0.0) < notable:
            continue
        large = share_calls >= high_calls or (share_time or 0.0) >= high_time
        some = share_calls >= medium_calls or (share_time or 0.0) >= medium_time
        severity = Severity.HIGH if large else Severity.MEDIUM
        if not (large or some or one.p95 >= long) or one.calls < fewest:
            severity = Severity.LOW
        minor = suspected or one.pattern in MINOR
        idle = bool(log.own) and one.held < sessions * log.seconds
        yield Finding(
            subject=subject(one),
            summary=("Suspected: " if suspected else "") + summary(one, share_calls, share_time),
            severity=Severity.LOW if minor else severity,
            confidence=Confidence.LOW if suspected else Confidence(one.grade),
            evidence=_evidence(one, share_calls, share_time),
            fixes=(*(exact(pooled=pooled) if suspected else ()), *fixes(one)),
            explains={} if minor else _explains(one, cpu * (share_time or 0.0), pools),
            impact=0.0 if minor else min(1.0, one.saved / max(log.busy + one.waited, 1e-9)),
            kind=Kind.RISK if suspected or idle else Kind.LIVE,
        )


def _explains(one: Repeated, cpu: float, pools: Mapping[str, Inside]) -> Mapping[str, float]:
    """Its share of used cores, and of the servers of each pool whose sessions run it."""

    def runs(session: Session) -> bool:
        return session.state != "idle" and same(session.query, one.child)

    shares = {f"pgbouncer.pool:{key}": seen.share(runs) for key, seen in pools.items()}
    return {resource: share for resource, share in {"host.cpu": cpu, **shares}.items() if share}


def _evidence(one: Repeated, share_calls: float, share_time: float | None) -> tuple[Evidence, ...]:
    found = [
        Evidence("executions per request, median", float(one.median), "", 5.0, SOURCE),
        Evidence("executions per request, p95", float(one.p95), "", source=SOURCE),
        Evidence("executions per request, most", float(one.most), "", source=SOURCE),
        Evidence("requests that repeat it", float(one.requests), "", source=SOURCE),
        Evidence("round trips", float(one.calls), "", source=SOURCE),
        Evidence("share of all statements", share_calls, "share", source=SOURCE),
        Evidence("server time", one.seconds, "s", source=SOURCE),
        Evidence("pause before each, median", one.gap * 1000, "ms", source=SOURCE),
        Evidence("time that one statement instead saves, at most", one.saved, "s", source=SOURCE),
    ]
    if share_time is not None:
        found.insert(6, Evidence("share of the database's time", share_time, "share", None, SOURCE))
    if one.parent:
        found.append(Evidence("the list", one.parent[:300], source=SOURCE))
    if one.examples:
        found.append(Evidence("values, for example", "; ".join(one.examples), source=SOURCE))
    if one.line:
        found.append(Evidence("line of code", one.line, source=SOURCE))
    return tuple(found)
