"""Requests that wait in HAProxy for a server, and whether its own limit makes them."""

from collections.abc import Iterator
from math import ceil

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Severity, Step, Window, check
from scaledoctor.sources.haproxy import HaproxyNow, HaproxyStats
from scaledoctor.sources.postgres import Activity
from scaledoctor_checks.balancing._balance import laggards
from scaledoctor_checks.balancing._bounded import bounded
from scaledoctor_checks.balancing._haproxy import SOURCE, Group, Traffic, traffic
from scaledoctor_checks.balancing._haproxy_words import milliseconds, runtime, setting

FIND = Fix(
    "Find what the servers wait for, and scan it together with HAProxy",
    ("scaledoctor scan --haproxy ... --dsn ... --pgbouncer ...",),
    language="shell",
    risk="none",
    verify="the chain under this finding goes on to the tier that is full",
    undo="none needed",
)
WAITING, SHARE, QUEUEING = 1.0, 0.1, 0.5
"""Mean waiting requests, their share of all in the backend, and share of the samples with a queue
from which there is a queue: single requests wait for a moment wherever a limit is in use."""


def queues(
    group: Group, waiting: float = WAITING, share: float = SHARE, queueing: float = QUEUEING
) -> bool:
    """Whether requests wait, many of them, for much of their time, and all the time."""
    return group.waiting >= waiting and group.queue_share >= share and group.queueing >= queueing


@check("haproxy.queueing", step=Step.SCALE_OUT)
def queueing(
    stats: Window[HaproxyStats],
    now: Window[HaproxyNow],
    activity: Window[Activity] | None,
    /,
    *,
    waiting: float = WAITING,
    share: float = SHARE,
    half: float = 0.5,
) -> Iterator[Finding]:
    """Requests wait in HAProxy because no server of their backend may take them.

    Why: a request that waits is late by its wait, and is refused with 503 after timeout queue.
    How measured: mean requests in the queues of the backend and of its servers, at least
    ``waiting``, with ``share`` of the time of all requests in the backend, in half of the
    samples. High when they wait for ``half`` of their time. A wait is waiting requests over
    requests per second (Little's law), since HAProxy's own qtime covers the last 1,024 requests.
    Fix: what makes the servers slow; where the database was looked at and holds nothing up, more
    of them.
    When to ignore: when maxconn keeps a server alive that would break with more; a queue is
    what it is for.
    References: HAProxy, configuration manual, "maxconn" (server) and "timeout queue".
    """
    found = traffic(stats, now)
    yield from bounded(
        _queue(group, found, share, half, looked=activity is not None)
        for group in found.groups
        if queues(group, waiting, share)
    )


def _queue(group: Group, all_of_it: Traffic, share: float, half: float, *, looked: bool) -> Finding:
    """``looked`` says that the database was: then nothing below holds the servers up."""
    wait, service = _per_request(group, all_of_it.seconds)
    refused = min(group.own_errors, group.grown["failed_connects"])
    name = group.row.name
    limit = f" of {group.row.limit}" if group.row.limit else ""
    lost = f"; {refused:.0f} of {group.requests:.0f} got 503 because none was free in time"
    effect = lost if refused else ""
    none = group.requests <= group.own_errors
    served = "none was served" if none else f"are served in {milliseconds(service)}"
    return Finding(
        subject=name,
        summary=f"{group.waiting:.1f} requests wait for a server of backend {name}, about "
        f"{milliseconds(wait)} each, and {served}{effect}",
        severity=Severity.HIGH if group.queue_share >= half or refused else Severity.MEDIUM,
        evidence=(
            Evidence("requests that wait, mean", group.waiting, "requests", WAITING, SOURCE),
            Evidence("requests at the servers, mean", group.in_flight, f"requests{limit}", None,
                     SOURCE),
            Evidence("share of the time spent waiting", group.queue_share, "", share, SOURCE),
            Evidence("wait of a request", wait, "s", None, "Little's law"),
            Evidence("time of a request at its server", service, "s", None, "Little's law"),
            Evidence("refused by HAProxy", refused, f"of {group.requests:.0f}", None, SOURCE),
        ),
        fixes=(_more(group),) if looked else (FIND, _more(group)),
        waits_for={group.key: 1.0},
        impact=max(all_of_it.held(group.waiting), all_of_it.lost(refused)),
    )  # fmt: skip


def _more(group: Group) -> Fix:
    """Servers for what is in hand and waiting, a quarter on top, at what each may have at once."""
    name, now = group.row.name, max(1, group.usable)
    each = max(1.0, (group.row.limit or group.in_flight) / now)
    wanted = max(now + 1, ceil(group.work * 1.25 / each))
    return setting(
        f"Scale out: {wanted} servers in backend {name} instead of {now}",
        (
            f"# {group.work:.0f} requests in hand or waiting x 1.25, {each:.0f} at once in each "
            f"server: {wanted}",
            f"# in backend {name}, for each new one:",
            f"server NEW ADDRESS:PORT check maxconn {each:.0f}",
        ),
        risk="the tiers below get that much more at once; it needs sessions that all servers share",
        verify=runtime("show stat") + f" | grep ^{name},  # qcur falls",
    )


def _per_request(group: Group, seconds: float) -> tuple[float, float]:
    """Seconds that a request waits and is served; refused ones waited too."""
    served = max(1.0, group.requests - group.own_errors)
    return group.waiting * seconds / max(1.0, group.requests), group.in_flight * seconds / served


@check("haproxy.server-maxconn", step=Step.SCALE_OUT)
def server_maxconn(
    stats: Window[HaproxyStats],
    now: Window[HaproxyNow],
    /,
    *,
    full: float = 0.8,
    quick: float = 0.2,
    lost: float = 0.25,
) -> Iterator[Finding]:
    """The servers' maxconn is too low: requests queue while the servers are quick.

    Why: capacity is maxconn over the time of a request. Below what arrives, requests wait in
    HAProxy though a server could take them.
    How measured: a queue as in haproxy.queueing while the servers have ``full`` of the sum of
    their maxconn in hand, serve a request in less than ``quick`` seconds (a tenth to a fifth of
    a second is felt as at once), none is slower than the others, and less than ``lost`` of the
    weight is down. HAProxy cannot see if the servers could do more at once.
    Fix: raise maxconn to what is in hand and waiting, a quarter on top.
    When to ignore: when the servers have that many workers and no more.
    References: HAProxy, configuration manual, "maxconn" (server).
    """
    found = traffic(stats, now)
    for group in found.groups:
        limit, (_, service) = group.row.limit, _per_request(group, found.seconds)
        if not limit or not group.requests or not queues(group) or service > quick:
            continue
        slow = laggards([s.member for s in group.steady])
        if group.in_flight >= full * limit and group.lost_weight < lost and not slow:
            yield _too_low(group, found, limit, service, quick)


def _too_low(group: Group, all_of_it: Traffic, limit: int, service: float, quick: float) -> Finding:
    name, servers = group.row.name, max(1, group.usable)
    each = limit / servers
    needed = max(ceil(each) + 1, ceil(group.work * 1.25 / servers))
    wait = _per_request(group, all_of_it.seconds)[0]
    commands = tuple(
        runtime(f"set maxconn server {s.key} {needed}") for s in group.steady if s.row.limit
    )
    return Finding(
        subject=name,
        summary=f"backend {name} lets its {servers} servers have {limit} requests at once; they "
        f"need {milliseconds(service)} each, and {group.waiting:.1f} wait {milliseconds(wait)}",
        severity=Severity.HIGH if group.queue_share >= 0.5 else Severity.MEDIUM,
        confidence=Confidence.MEDIUM,
        evidence=(
            Evidence("requests at the servers, mean", group.in_flight, f"of {limit}", None,
                     SOURCE),
            Evidence("time of a request at its server", service, "s", quick, "Little's law"),
            Evidence("requests that wait, mean", group.waiting, "requests", WAITING, SOURCE),
            Evidence("capacity", limit / service if service else 0.0, "requests per second",
                     None, "maxconn over time"),
        ),
        fixes=(
            Fix(
                f"Let each server have {needed} requests at once, now and in haproxy.cfg",
                (*commands[:10], f"# and in backend {name}: default-server maxconn {needed}"),
                language="shell",
                risk="servers without that many workers queue them inside, unseen by HAProxy",
                verify=runtime("show stat") + f" | grep ^{name},  # qcur falls, rtime stays",
                undo="; ".join(
                    runtime(f"set maxconn server {s.key} {s.row.limit}")
                    for s in group.steady[:10]
                    if s.row.limit
                ),
            ),
        ),
        explains={group.key: group.queue_share},
        impact=all_of_it.held(group.waiting),
    )  # fmt: skip
