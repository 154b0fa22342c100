"""The servers behind a balancer by its access log: even or not, slow or not, failing or not."""

from collections.abc import Iterator, Sequence

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Kind,
    Severity,
    Step,
    Unavailable,
    check,
)
from scaledoctor.sources.access_log import AccessLog, Upstream
from scaledoctor_checks.app._log import SOURCE, span
from scaledoctor_checks.app._words import milliseconds
from scaledoctor_checks.balancing._balance import Imbalance, Member, imbalance, laggards


def _groups(log: AccessLog) -> list[list[Upstream]]:
    """Servers by group, of groups with a choice."""
    if not log.upstreams:
        raise Unavailable(
            f"the log's format ({log.format}) does not name the servers",
            "see access.no-timing for a log_format that does",
        )
    groups: dict[str, list[Upstream]] = {}
    for server in log.servers:
        groups.setdefault(server.group, []).append(server)
    return [group for group in groups.values() if len(group) > 1]


@check("access.imbalance", step=Step.SCALE_OUT)
def uneven(
    log: AccessLog, /, *, deviation: float = 0.25, loaded: float = 0.5, healthy: float = 0.05
) -> Iterator[Finding]:
    """One server gets clearly more or fewer requests than its peers.

    Why: the most loaded server is full first, while others still have room.
    How measured: requests answered by server in the access log, a chi-square test against equal
    shares (p below 0.001, at least 100 requests per server), and at least ``deviation`` off.
    Servers of which ``healthy`` of the tries failed are left out: they get less for a reason. So
    is a spread in which the time of all is even: least connections makes it so. It is a live cost
    when the server with ``loaded`` more than its share is also slower than its peers, else a risk.
    Fix: the weights, the balancing method, or the hash key.
    When to ignore: weights that differ on purpose, sticky sessions, a server that has just come.
    References: nginx manual, ngx_http_upstream_module; "Balance metric", chi-square.
    """
    for group in _groups(log):
        well = [s for s in group if s.failed + s.errors < healthy * max(1, s.tries)]
        found = imbalance(
            [Member(s.name, 1.0, float(s.handled), s.spent) for s in well], deviation=deviation
        )
        if found is not None and not _even_work(found, well, deviation):
            yield _uneven(found, well, log, loaded, deviation)


def _even_work(found: Imbalance, group: Sequence[Upstream], deviation: float) -> bool:
    """Whether the server has as much work as its peers, in fewer or in more requests."""
    mean = sum(server.spent for server in group) / len(group)
    return mean > 0 and abs(found.worst.seconds / mean - 1) < deviation


def _uneven(
    found: Imbalance, group: Sequence[Upstream], log: AccessLog, loaded: float, deviation: float
) -> Finding:
    worst = next(s for s in group if s.name == found.worst.name)
    slower = worst.expected > 0 and worst.took >= 1.25 * worst.expected
    costs = found.deviation >= loaded and slower
    times = found.worst.requests / found.expected
    return Finding(
        subject=worst.name,
        summary=(
            f"{worst.name} gets {times:.2f} times its equal share of the requests {span(log)}: "
            f"{worst.handled} of {found.requests:.0f} among {len(group)} servers"
        ),
        severity=Severity.MEDIUM if costs else Severity.LOW,
        confidence=Confidence.MEDIUM,  # the log does not tell the weights
        evidence=(
            Evidence("requests against an equal share", times, "times", 1 + deviation, SOURCE),
            Evidence("chance of that in a fair spread", found.p, "p", 0.001, SOURCE),
            *(Evidence(s.name, float(s.handled), "requests", source=SOURCE) for s in group[:8]),
        ),
        fixes=(
            Fix(
                "Look at weights and method; least connections evens out the work",
                (
                    "# nginx: upstream app { zone app 64k; least_conn; server ...; }",
                    "# HAProxy: balance leastconn",
                    "# sticky sessions: keep the sessions in Redis or the database instead",
                ),
                language="text",
                risk="without persistence a session kept in one server's memory is lost",
                verify="scaledoctor scan again: the shares are within a quarter",
                undo="the old balancing line",
            ),
        ),
        impact=min(1.0, max(0.0, found.deviation) * worst.took / log.busy) if costs else 0.0,
        kind=Kind.LIVE if costs else Kind.RISK,
    )


@check("access.slow-upstream", step=Step.SCALE_OUT)
def slow_upstream(
    log: AccessLog,
    /,
    *,
    slower: float = 2.0,
    slower_by: float = 0.05,
    fewest: int = 100,
    high: float = 0.1,
) -> Iterator[Finding]:
    """One server takes much longer than its peers for the same requests.

    Why: under round robin it still gets its full share, so a part of all users is always slow.
    How measured: upstream time by server and route in the access log, against what its peers take
    for the same mix of routes. Fires with ``fewest`` requests at ``slower`` times their time and
    ``slower_by`` seconds more per request, high when that excess is ``high`` of all work.
    Fix: look at that machine; until then give it less.
    When to ignore: a server that has just started and is still cold.
    References: nginx manual, $upstream_response_time.
    """
    groups = _groups(log)
    if not log.upstream_timed:
        raise Unavailable(f"the log's format ({log.format}) has no upstream times")
    for group in groups:
        timed = [s for s in group if s.compared >= fewest and s.expected > 0]
        each = sum(s.took for s in timed) / max(1, sum(s.compared for s in timed))
        members = [
            Member(s.name, 1.0, float(s.compared), s.compared * each * s.took / s.expected)
            for s in timed
        ]
        for lag in laggards(members, slower=slower, slower_by=slower_by):
            server = next(s for s in timed if s.name == lag.member.name)
            yield _slow(server, log, slower, high)


def _slow(server: Upstream, log: AccessLog, slower: float, high: float) -> Finding:
    own, peers = server.took / server.compared, server.expected / server.compared
    excess = (server.took - server.expected) / max(log.busy, 1e-9)
    return Finding(
        subject=server.name,
        summary=(
            f"{server.name} takes {milliseconds(own)} per request, its peers "
            f"{milliseconds(peers)} for the same mix of routes ({span(log)})"
        ),
        severity=Severity.HIGH if excess >= high else Severity.MEDIUM,
        evidence=(
            Evidence("time against its peers", own / peers if peers else 0.0, "times", slower,
                     SOURCE),
            Evidence("its time per request", own, "s", source=SOURCE),
            Evidence("requests compared", float(server.compared), "requests", source=SOURCE),
            Evidence("share of all work that is excess", excess, "share", high, SOURCE),
        ),
        fixes=(
            Fix(
                f"Take {server.name} out, look at it, put it back",
                (
                    f"# nginx: server {server.name} down;  then nginx -s reload",
                    "# HAProxy: set server BACKEND/SERVER state drain   (runtime socket)",
                    "scaledoctor scan  # on that machine",
                ),
                language="text",
                risk="the others get its requests: have they room?",
                verify="scaledoctor scan again: no server is slower than its peers",
                undo="remove down and reload; set server BACKEND/SERVER state ready",
            ),
        ),
        explains={"app.workers": min(1.0, server.took / max(log.busy, 1e-9))},
        impact=min(1.0, max(0.0, excess)),
    )  # fmt: skip


@check("access.hidden-failures", step=Step.SCALE_OUT)
def hidden_failures(
    log: AccessLog, /, *, share: float = 0.01, fewest: int = 5
) -> Iterator[Finding]:
    """A server fails requests, and the balancer hides it by asking another one.

    Why: clients see nothing but a little more time, until the next server fails too; a dead
    server can stay unnoticed for months.
    How measured: lists of tries in the access log, such as status ``502, 200``, or HAProxy's count
    of retries. Fires from ``fewest`` failed tries of a server, medium at ``share`` of all
    requests.
    Fix: start the server, or take it out.
    When to ignore: a deployment that restarts servers one by one.
    References: nginx manual, proxy_next_upstream; HAProxy manual, "retries".
    """
    if not log.answers:
        raise Unavailable(
            f"the log's format ({log.format}) does not tell single tries",
            "see access.no-timing for a log_format that does",
        )
    requests, hidden = max(1, log.requests), sum(route.hidden for route in log.routes)
    for server in log.servers:
        if server.failed < fewest or hidden < fewest:
            continue
        name = server.name
        unknown = name.endswith("?")
        yield Finding(
            subject=name.rstrip("/?") if unknown else name,
            summary=(
                f"{server.failed} tries {'in' if unknown else 'of'} {name.rstrip('/?')} failed "
                f"{span(log)} and were made good by another; {hidden} clients of {requests} "
                "noticed nothing"
            ),
            severity=Severity.MEDIUM if server.failed >= share * requests else Severity.LOW,
            evidence=(
                Evidence("failed tries", float(server.failed), f"of {server.tries}", fewest,
                         SOURCE),
                Evidence("share of all requests", server.failed / requests, "share", share, SOURCE),
                Evidence("requests that went well after a failed try", float(hidden), "requests",
                         source=SOURCE),
            ),
            fixes=(_mend(name.rstrip("/?")),),
            impact=min(1.0, server.failed / requests) * 0.5,
        )  # fmt: skip


def _mend(name: str) -> Fix:
    return Fix(
        f"See whether {name} is up; take it out until it is",
        (
            f"curl -sv --max-time 2 http://{name}/ >/dev/null"
            if ":" in name
            else f"# HAProxy: show servers state {name.partition('/')[0]}",
            "# nginx: mark it down, or max_fails=3 fail_timeout=30s; HAProxy: server ... check",
        ),
        language="shell",
        risk="the other servers get its requests",
        verify="scaledoctor scan again: no failed tries",
        undo="put the server back",
    )
