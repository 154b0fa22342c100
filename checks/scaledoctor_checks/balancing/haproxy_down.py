"""Servers that a health check took out: some of a backend, all of it, all by one answer."""

from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Kind, Severity, Step, Window, check
from scaledoctor.sources.haproxy import HaproxyNow, HaproxyStats
from scaledoctor.sources.postgres import Activity
from scaledoctor_checks.balancing._bounded import bounded
from scaledoctor_checks.balancing._haproxy import (
    SOURCE,
    Group,
    Served,
    Traffic,
    traffic,
)
from scaledoctor_checks.balancing._haproxy_words import last_check, names, runtime, setting

TOGETHER = 5
"""Seconds between the first and the last fall of servers that fell together: two intervals of
HAProxy's default check, in which it spreads the servers' checks, and one of rounding."""


def _fallen(group: Group) -> list[Served]:
    return [s for s in group.servers if s.row.down]


def common_answer(group: Group) -> str:
    """The answer by which all servers of a backend were taken out together, though they connect.

    Empty when they fell apart in time or by different answers, or when one of them still works.
    A status of layer 7 means that the server accepted the connection.
    """
    members = [s for s in group.servers if not s.row.parked]
    if len(members) < 2 or len(members) != len(group.servers) - group.row.parked:
        return ""
    answers = {(s.row.check, s.row.code) for s in members}
    since = [s.row.since for s in members if s.row.since is not None]
    down = all(s.row.down for s in members)
    together = len(since) == len(members) and max(since) - min(since) <= TOGETHER
    if down and together and len(answers) == 1 and members[0].row.check.startswith("L7"):
        return last_check(members[0].row)
    return ""


@check("haproxy.servers-down", step=Step.SCALE_OUT)
def servers_down(
    stats: Window[HaproxyStats], now: Window[HaproxyNow], /, *, half: float = 0.5
) -> Iterator[Finding]:
    """Health checks have taken servers of a backend out.

    Why: what they did falls to the others; when none is left, HAProxy answers 503 itself.
    How measured: servers with status DOWN, in maintenance and draining ones not counted, with
    the last answer to their check. The effect is counted in 503 answers and in requests that
    wait. High from ``half`` of the backend's weight on, critical when no server is left.
    Fix: bring the server back, or take it out of the configuration.
    When to ignore: during a rollout that takes them out one by one.
    References: HAProxy, management guide 9.1 (CSV format); configuration manual, "check".
    """
    found = traffic(stats, now, rates=False)
    yield from bounded(_down(g, found, half) for g in found.groups if g.row.down)


def _down(group: Group, all_of_it: Traffic, half: float) -> Finding:
    fallen, gone = _fallen(group), group.usable == 0
    lost = max(group.lost_weight, group.row.down / max(1, group.row.servers - group.row.parked))
    refused = min(group.own_errors, group.grown["failed_connects"]) if gone else 0.0
    # Of the queue, the part that the missing servers would have served.
    impact = all_of_it.lost(refused) + all_of_it.held(group.waiting * lost)
    symptom = bool(common_answer(group))
    severity = Severity.HIGH if lost >= half else Severity.MEDIUM
    single = len(fallen) == 1 and not gone
    # One reading counts no refusals: whoever has had requests will get more.
    unseen = not all_of_it.seconds and all_of_it.live(group)
    return Finding(
        subject=fallen[0].key if single else group.row.name,
        summary=_summary(group, fallen, refused),
        severity=Severity.CRITICAL if gone and (refused or unseen) else severity,
        evidence=(
            Evidence("servers down", float(group.row.down), f"of {group.row.servers}", None,
                     SOURCE),
            Evidence("weight that is down", lost, "of the backend", half, SOURCE),
            *(Evidence(f"last check of {s.key}", last_check(s.row), source=SOURCE)
              for s in fallen[:3]),
            Evidence("503 from HAProxy in the window", refused, f"of {group.requests:.0f}", None,
                     SOURCE),
            Evidence("requests that wait, mean", group.waiting, "requests", None, SOURCE),
        ),
        fixes=tuple(_fixes(group, fallen)),
        explains={} if symptom else {group.key: 1.0 if gone else lost},
        waits_for={group.key: 1.0} if symptom else {},
        impact=min(1.0, impact),
        kind=Kind.LIVE if all_of_it.live(group) else Kind.RISK,
    )  # fmt: skip


def _summary(group: Group, fallen: list[Served], refused: float) -> str:
    name, row = group.row.name, group.row
    why = f": {fallen[0].row.name} says {last_check(fallen[0].row)}" if fallen else ""
    if group.usable == 0:
        effect = f"; {refused:.0f} of {group.requests:.0f} requests got 503" if refused else ""
        return f"no server of backend {name} is left: {row.down} of {row.servers} are down{why}" + (
            effect
        )
    which = names([s.row.name for s in fallen])
    effect = f"; {group.waiting:.1f} requests wait for the others" if group.waiting >= 1 else ""
    verb = "is" if row.down == 1 else "are"
    return f"{which} of backend {name} {verb} down ({row.down} of {row.servers}){why}{effect}"


def _fixes(group: Group, fallen: list[Served]) -> Iterator[Fix]:
    if not fallen:
        return
    server = fallen[0]
    connects = server.row.check.startswith("L7")
    yield Fix(
        f"Find out why {server.key} fails: "
        + ("it accepts connections and answers wrongly" if connects else "nothing answers there"),
        (
            runtime("show servers state " + group.row.name) + "  # its address and port",
            "curl -i http://ADDRESS:PORT/HEALTH  # what the check sees"
            if connects
            else "ss -ltn 'sport = :PORT'  # on that server: does anything listen?",
        ),
        language="shell",
        risk="none",
        verify=runtime("show stat") + f" | grep ^{group.row.name},  # UP",
        undo="none needed",
    )
    yield Fix(
        f"Park {server.key} until it is mended, so that its checks end",
        (runtime(f"set server {server.key} state maint"),),
        language="shell",
        risk="it does not come back by itself",
        verify=runtime("show stat") + f" | grep ^{group.row.name},  # MAINT",
        undo=runtime(f"set server {server.key} state ready"),
    )


@check("haproxy.shared-health-check", step=Step.SCALE_OUT)
def shared_health_check(
    stats: Window[HaproxyStats],
    now: Window[HaproxyNow],
    activity: Window[Activity] | None,
    /,
    *,
    together: int = 2,
    locks: float = 0.3,
) -> Iterator[Finding]:
    """A health check takes out all servers of a backend together.

    Why: a check that asks the database answers for something that all servers share. When that
    is slow, HAProxy takes all of them out, and a slow site is a dead one.
    How measured: at least ``together`` servers, all of them down by the same answer of layer 7
    within 5 s; layer 7 means that the server accepted the connection. With PostgreSQL in the
    scan: the share of its busy sessions that wait for a lock in the same window; from ``locks``
    on, where they count as saturated, we are sure of it.
    Fix: let the check ask if this server works, and nothing that all of them share.
    When to ignore: when the servers fell by the same mistake, such as a broken release.
    References: HAProxy, configuration manual, "option httpchk"; Amazon Builders' Library,
    "Implementing health checks".
    """
    found = traffic(stats, now, rates=False)
    blocked = _blocked(activity)
    for group in found.groups:
        answer = common_answer(group) if group.row.down >= together else ""
        if answer:
            yield _shared(group, found, answer, blocked, locks)


def _blocked(activity: Window[Activity] | None) -> float | None:
    if activity is None:
        return None
    busy = activity.mean(lambda a: sum(s.active or s.blocked for s in a.sessions))
    blocked = activity.mean(lambda a: sum(s.blocked for s in a.sessions))
    return blocked / busy if busy else 0.0


def _shared(
    group: Group, all_of_it: Traffic, answer: str, blocked: float | None, locks: float
) -> Finding:
    refused, count = group.own_errors, group.row.down
    code = group.servers[0].row.code or 0
    return Finding(
        subject=group.row.name,
        summary=f"all {count} servers of backend {group.row.name} were taken out together by "
        f"{answer}, though they accept connections"
        + (f"; {refused:.0f} of {group.requests:.0f} requests got 503" if refused else ""),
        severity=Severity.CRITICAL if refused else Severity.HIGH,
        confidence=Confidence.HIGH if (blocked or 0.0) >= locks else Confidence.MEDIUM,
        evidence=tuple(_shared_evidence(group, answer, blocked, locks)),
        fixes=(
            setting(
                "Let the check ask for a page that exists"
                if 300 <= code < 500
                else "Check each server by what is its own: better a slow site than none",
                (
                    f"# in backend {group.row.name}; /live answers 200 without asking a database",
                    "option httpchk GET /live",
                    "http-check expect status 200",
                    "default-server inter 2s fall 3 rise 2",
                ),
                risk="a server whose database is gone gets requests, as all others do",
                verify="stop the database in a test: the servers stay UP",
            ),
        ),
        explains={group.key: 1.0},
        waits_for={"postgres.locks": blocked} if blocked else {},
        impact=all_of_it.lost(refused),
        kind=Kind.LIVE if all_of_it.live(group) else Kind.RISK,
    )  # fmt: skip


def _shared_evidence(
    group: Group, answer: str, blocked: float | None, locks: float
) -> Iterator[Evidence]:
    count = group.row.down
    yield Evidence("servers down by the same answer", float(count), f"of {count}", None, SOURCE)
    yield Evidence("the answer", answer, source=SOURCE)
    of = f"of {group.requests:.0f}"
    yield Evidence("503 from HAProxy in the window", group.own_errors, of, None, SOURCE)
    if blocked is not None:
        what = "busy sessions of PostgreSQL that wait for a lock"
        yield Evidence(what, blocked, "share", locks, "pg_stat_activity")
