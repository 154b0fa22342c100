"""5xx and connections that fail: which server makes them, and what HAProxy answers itself."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Severity, Step, Window, check
from scaledoctor.sources.haproxy import HaproxyNow, HaproxyStats
from scaledoctor_checks.balancing._balance import SLOWER
from scaledoctor_checks.balancing._bounded import bounded
from scaledoctor_checks.balancing._haproxy import (
    SOURCE,
    Group,
    Served,
    Traffic,
    traffic,
)
from scaledoctor_checks.balancing._haproxy_words import runtime, setting
from scaledoctor_checks.balancing.haproxy_queue import queues

FEWEST = 10
"""Failures in a window below which nothing is said: a deployment makes a few."""


ENDS = Fix(
    "See in HAProxy's log how each request ended",
    (
        "grep -oE ' (s[HDL]|S[CHDLQ]|sQ)[-A-Z]{2} ' /var/log/haproxy.log"
        " | sort | uniq -c  # sH: timeout server, SH: closed, sQ: timeout queue",
    ),
    language="shell",
    risk="none",
    verify="scaledoctor scan --access-log /var/log/haproxy.log",
    undo="none needed",
)


@check("haproxy.server-errors", step=Step.IDENTIFY)
def server_errors(
    stats: Window[HaproxyStats],
    now: Window[HaproxyNow],
    /,
    *,
    errors: int = FEWEST,
    share: float = 0.01,
    high: float = 0.05,
    one: float = 0.5,
    times: float = 3.0,
) -> Iterator[Finding]:
    """Servers of a backend answer requests with 5xx.

    Why: each is a request that failed for its user. One server that fails quickly also draws
    more requests than the others under least connections.
    How measured: 5xx that the servers sent, in the window, at least ``errors`` and ``share`` of
    the backend's requests; high from ``high`` of them on (peers alert at 5 %). A server is named
    when it made ``one`` of them or more, and fails ``times`` as often as the others. When its
    requests also take twice as long as theirs, it fails for want of what they wait for.
    Fix: take the server out, and look into its log.
    When to ignore: when clients are meant to get 5xx, as from a load shedder.
    References: HAProxy, management guide 9.1, hrsp_5xx; configuration manual, "observe".
    """
    found = traffic(stats, now)
    yield from bounded(
        _failing(group, found, high, _culprit(group, one, times))
        for group in found.groups
        if group.grown["server_errors"] >= max(errors, share * group.requests)
    )


def _culprit(group: Group, one: float, times: float) -> Served | None:
    """The server that makes the errors, if one does."""
    if len(group.servers) < 2:
        return None
    worst = max(group.servers, key=lambda s: s.grown["errors"])
    errors, requests = worst.grown["errors"], max(1.0, worst.requests)
    others = group.grown["server_errors"] - errors
    rate = others / max(1.0, group.requests - requests)
    own = errors / requests
    return worst if errors >= one * (errors + others) and own >= times * rate else None


def _failing(group: Group, all_of_it: Traffic, high: float, worst: Served | None) -> Finding:
    count, name = group.grown["server_errors"], group.row.name
    rate = count / max(1.0, group.requests)
    who = f"{worst.row.name} of backend {name}" if worst else f"the servers of backend {name}"
    mine = worst.grown["errors"] if worst else count
    of = worst.requests if worst else group.requests
    status = f", and passes its check ({worst.row.check})" if worst and worst.row.check else ""
    return Finding(
        subject=worst.key if worst else name,
        summary=f"{who} answered {mine:.0f} of {of:.0f} requests with 5xx{status}",
        severity=Severity.HIGH if rate >= high else Severity.MEDIUM,
        evidence=(
            Evidence("5xx from servers", count, f"of {group.requests:.0f}", None, SOURCE),
            Evidence("share of the backend's requests", rate, "", high, SOURCE),
            *(
                (Evidence(f"of them from {worst.key}", mine, f"of its {of:.0f}", None, SOURCE),)
                if worst
                else ()
            ),
        ),
        fixes=tuple(_park(worst) if worst else _log(name)),
        # Servers that fail alike share a cause: what their requests wait for, if anything. So does
        # one that fails late: it may be the one that got nothing of what all of them share.
        waits_for={} if worst and not _late(group, worst) else {group.key: 1.0},
        impact=all_of_it.lost(count),
    )


def _late(group: Group, worst: Served) -> bool:
    """Whether a server's requests take much longer than those of the others."""
    others = [s for s in group.servers if s is not worst]
    requests = sum(s.requests for s in others)
    usual = sum(s.in_flight for s in others) / requests if requests else 0.0
    return worst.in_flight > SLOWER * usual * worst.requests


def _park(worst: Served) -> Iterator[Fix]:
    yield Fix(
        f"Give {worst.key} no new requests, and look into its log",
        (runtime(f"set server {worst.key} state drain"),),
        language="shell",
        risk="the other servers get its requests",
        verify=runtime("show stat") + "  # hrsp_5xx stays the same",
        undo=runtime(f"set server {worst.key} state ready"),
    )
    yield setting(
        "Let HAProxy take a server out that answers with 5xx",
        (
            f"# in backend {worst.row.proxy}",
            "default-server check observe layer7 error-limit 20 on-error mark-down",
        ),
        risk="an error that all servers make takes all of them out",
        verify="a server that answers 500 goes DOWN after 20 of them",
    )


def _log(name: str) -> Iterator[Fix]:
    yield Fix(
        f"Find the pages that fail in backend {name}",
        ("scaledoctor scan --access-log /var/log/haproxy.log",),
        language="shell",
        risk="none",
        verify="5xx by route",
        undo="none needed",
    )


@check("haproxy.connect-errors", step=Step.SCALE_OUT)
def connect_errors(
    stats: Window[HaproxyStats],
    now: Window[HaproxyNow],
    /,
    *,
    failures: int = FEWEST,
    share: float = 0.01,
    dead: float = 0.5,
) -> Iterator[Finding]:
    """HAProxy cannot connect to a server and tries again, or elsewhere.

    Why: each retry makes a request late, by up to timeout connect; the last one loses it.
    How measured: retries, redispatches and failed connections of each server in the window, at
    least ``failures`` and ``share`` of its requests. From ``dead`` of them on the server is
    called dead.
    Fix: a health check where there is none; else a longer accept queue, or more workers.
    When to ignore: during a restart of the server.
    References: HAProxy, configuration manual, "retries", "option redispatch"; listen(2).
    """
    found = traffic(stats, now)
    yield from bounded(
        _unconnected(group, server, found, dead)
        for group in found.groups
        for server in group.servers
        if not server.row.down and server.failing >= max(failures, share * server.requests)
    )


def _unconnected(group: Group, server: Served, all_of_it: Traffic, dead: float) -> Finding:
    failing, grown = server.failing, server.grown
    part = failing / max(1.0, server.requests)
    state = "never checked" if not server.row.checked else f"{server.row.status} for its check"
    if part >= dead:
        what = f"{server.key} takes no connections and still gets requests: it is {state}"
    else:
        what = f"{server.key} does not take all of its connections"
    lost = group.grown["failed_connects"]
    return Finding(
        subject=server.key,
        summary=f"{what}; {failing:.0f} of {server.requests:.0f} requests had to be tried again",
        severity=Severity.HIGH if all_of_it.lost(failing) >= 0.05 else Severity.MEDIUM,
        evidence=(
            Evidence("requests tried again or elsewhere", failing, f"of {server.requests:.0f}",
                     None, SOURCE),
            Evidence("retries", grown["retries"], "", None, SOURCE),
            Evidence("redispatches", grown["redispatches"], "", None, SOURCE),
            Evidence("connections given up", grown["failed_connects"], "", None, SOURCE),
            Evidence("health check", server.row.check or server.row.status, source=SOURCE),
        ),
        fixes=tuple(_connects(server, part >= dead)),
        explains={group.key: min(1.0, grown["failed_connects"] / lost)} if lost else {},
        impact=all_of_it.lost(failing),
    )  # fmt: skip


def _connects(server: Served, dead: bool) -> Iterator[Fix]:
    if dead:
        yield Fix(
            f"Take {server.key} out now",
            (runtime(f"set server {server.key} state maint"),),
            language="shell",
            risk="none while it takes no connections",
            verify=runtime("show stat") + "  # wretr and wredis stay the same",
            undo=runtime(f"set server {server.key} state ready"),
        )
    if not server.row.checked:
        yield setting(
            "Check the servers, so that a dead one gets nothing",
            (f"# in backend {server.row.proxy}", "default-server check inter 2s fall 3 rise 2"),
            risk="a check that fails takes its server out",
            verify=runtime("show stat") + "  # check_status",
        )
    elif not dead:
        yield Fix(
            "Let its accept queue be longer, and see whether its workers keep up",
            (
                "ss -ltn  # Recv-Q at Send-Q: the accept queue is full",
                "sysctl -w net.core.somaxconn=4096  # and the program's own backlog",
            ),
            language="shell",
            risk="none; a longer queue only hides workers that are too few",
            verify="nstat -az TcpExtListenOverflows stays the same",
            undo="sysctl -w net.core.somaxconn=128",
        )


@check("haproxy.own-errors", step=Step.IDENTIFY)
def own_errors(
    stats: Window[HaproxyStats],
    now: Window[HaproxyNow],
    /,
    *,
    errors: int = FEWEST,
    share: float = 0.01,
    high: float = 0.05,
    one: float = 0.5,
) -> Iterator[Finding]:
    """HAProxy itself answers requests with 502, 503 or 504.

    Why: the server gave no answer: it closed the connection, was too late, or there was none.
    How measured: 5xx of the backend less those of its servers, at least ``errors`` and ``share``
    of its requests; high from ``high`` on. Failed answers (eresp) are 502 and 504, failed
    connections (econ) 503: no server, or no room in one until timeout queue. While requests queue
    the 503 are told by haproxy.queueing. A server is named with ``one`` of the failed answers or
    more.
    Fix: whatever takes the servers away; it is found first where it can be measured.
    When to ignore: never.
    References: HAProxy, configuration manual, "timeout server", "timeout queue"; session state
    at disconnection.
    """
    found = traffic(stats, now)
    yield from bounded(
        _own(group, count, found, high, one)
        for group in found.groups
        if (count := _untold(group)) >= max(errors, share * group.requests)
    )


def _untold(group: Group) -> float:
    """5xx by HAProxy itself, less those of requests that waited in a queue in vain."""
    refused = group.grown["failed_connects"] if queues(group) else 0.0
    return max(0.0, group.own_errors - refused)


def _own(group: Group, count: float, all_of_it: Traffic, high: float, one: float) -> Finding:
    name, answers = group.row.name, group.grown["failed_answers"]
    connects = 0.0 if queues(group) else group.grown["failed_connects"]
    worst = max(group.servers, key=lambda s: s.grown["failed_answers"], default=None)
    mine = worst.grown["failed_answers"] if worst else 0.0
    named = worst if worst and answers >= connects and mine >= one * answers else None
    late = answers >= connects
    why = (
        "no answer came, or a broken one"
        if late
        else "no server was left, or had room for them in time"
    )
    rate = count / max(1.0, group.requests)
    return Finding(
        subject=named.key if named else name,
        summary=f"HAProxy answered {count:.0f} of {group.requests:.0f} requests of backend {name} "
        f"with {'502 or 504' if late else '503'}: {why}"
        + (f", {mine:.0f} times from {named.row.name}" if named else ""),
        severity=Severity.HIGH if rate >= high else Severity.MEDIUM,
        evidence=(
            Evidence("5xx made by HAProxy", count, f"of {group.requests:.0f}", None, SOURCE),
            Evidence("share of the backend's requests", rate, "", high, SOURCE),
            Evidence("no answer, or a broken one", answers, "requests", None, SOURCE),
            Evidence("no server, or no room in time", connects, "requests", None, SOURCE),
        ),
        fixes=(ENDS,),
        waits_for={group.key: 1.0},
        impact=all_of_it.lost(count),
    )
