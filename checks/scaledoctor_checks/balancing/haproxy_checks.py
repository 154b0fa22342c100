"""Health checks themselves: none at all, too shallow, or flapping."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Kind, Severity, Step, Window, check
from scaledoctor.sources.haproxy import HaproxyInfo, HaproxyNow, HaproxyStats
from scaledoctor_checks.balancing._bounded import bounded
from scaledoctor_checks.balancing._haproxy import (
    SOURCE,
    Group,
    Served,
    Traffic,
    traffic,
)
from scaledoctor_checks.balancing._haproxy_words import last_check, names, runtime, setting
from scaledoctor_checks.balancing.haproxy_down import common_answer


@check("haproxy.no-health-check", step=Step.SCALE_OUT)
def no_health_check(
    stats: Window[HaproxyStats], now: Window[HaproxyNow], /, *, servers: int = 2
) -> Iterator[Finding]:
    """Nobody checks whether the servers of a backend work.

    Why: HAProxy goes on sending requests to a server that has died; each of them is retried,
    late, or lost.
    How measured: status "no check" of active servers, in backends of at least ``servers``: a
    single one has nobody to hand its requests to.
    Fix: check every server.
    When to ignore: when the server is another balancer that checks for itself.
    References: HAProxy, configuration manual, "check" and "option httpchk".
    """
    yield from bounded(
        _unchecked(group, members)
        for group in traffic(stats, now, rates=False).groups
        if group.row.servers >= servers
        and (members := [s for s in group.servers if not s.row.checked and not s.row.parked])
    )


def _unchecked(group: Group, members: list[Served]) -> Finding:
    name, failing = group.row.name, sum(s.failing for s in members)
    probe = ["option httpchk GET /health"] if group.row.mode == "http" else ["option tcp-check"]
    which = names([s.row.name for s in members])
    return Finding(
        subject=name,
        summary=f"{len(members)} of {group.row.servers} servers of backend {name} are never "
        f"checked: {which}",
        severity=Severity.HIGH if failing else Severity.MEDIUM,
        evidence=(
            Evidence("servers without a check", float(len(members)), f"of {group.row.servers}",
                     None, SOURCE),
            Evidence("requests that could not connect to them", failing, "requests", None, SOURCE),
        ),
        fixes=(
            setting(
                f"Check the servers of {name}",
                (f"# in backend {name}", *probe, "default-server check inter 2s fall 3 rise 2"),
                risk="a check that fails takes its server out: try the page with curl first",
                verify=runtime("show stat") + f" | grep ^{name},  # check_status L7OK",
            ),
        ),
        kind=Kind.RISK,
    )  # fmt: skip


@check("haproxy.shallow-health-check", step=Step.SCALE_OUT)
def shallow_health_check(
    stats: Window[HaproxyStats], now: Window[HaproxyNow], /, *, servers: int = 2
) -> Iterator[Finding]:
    """Servers of a web backend are only checked for an open port.

    Why: a program that hangs, or answers every request with an error, still accepts connections.
    How measured: check_status L4OK in a backend of mode http, of at least ``servers``.
    Fix: ask for a page.
    When to ignore: when the servers have no page that may be asked for.
    References: HAProxy, configuration manual, "option httpchk".
    """
    yield from bounded(
        _shallow(group)
        for group in traffic(stats, now, rates=False).groups
        if group.row.mode == "http"
        and group.row.servers >= servers
        and any(s.row.check == "L4OK" for s in group.servers)
    )


def _shallow(group: Group) -> Finding:
    members = [s for s in group.servers if s.row.check == "L4OK"]
    name = group.row.name
    return Finding(
        subject=name,
        summary=f"{len(members)} servers of backend {name} are checked by connecting only: one "
        "that hangs keeps its requests",
        severity=Severity.LOW,
        evidence=(
            Evidence("servers whose check ends at layer 4", float(len(members)),
                     f"of {group.row.servers}", None, SOURCE),
        ),
        fixes=(
            setting(
                f"Ask the servers of {name} for a page",
                (f"# in backend {name}", "option httpchk GET /health"),
                risk="the page must answer 2xx or 3xx within the check's time-out",
                verify=runtime("show stat") + f" | grep ^{name},  # check_status L7OK",
            ),
        ),
        kind=Kind.RISK,
    )  # fmt: skip


@check("haproxy.flapping", step=Step.SCALE_OUT)
def flapping(
    stats: Window[HaproxyStats],
    now: Window[HaproxyNow],
    info: HaproxyInfo | None,
    /,
    *,
    per_hour: float = 3.0,
    recent: float = 300.0,
) -> Iterator[Finding]:
    """A server goes down and comes back, again and again.

    Why: each fall breaks requests in hand and throws its load at the others; often the server is
    slow under load, fails its check, rests, and is let in again.
    How measured: falls in this window after which it is back; else ``per_hour`` falls per hour
    of HAProxy's uptime, at least three; else two falls of which the last is less than ``recent``
    seconds ago. Thresholds: ours; a rollout makes one fall.
    Fix: give the check more time, or the server less load.
    When to ignore: while servers are being restarted on purpose.
    References: HAProxy, configuration manual, "fall", "rise" and "slowstart".
    """
    hours = max(1.0, (info.uptime or 0) / 3600) if info is not None and info.uptime else None
    found = traffic(stats, now, rates=False)
    yield from bounded(
        _flaps(group, members, found)
        for group in found.groups
        if not common_answer(group)
        and (members := [s for s in group.servers if _unstable(s, hours, per_hour, recent)])
    )


def _unstable(server: Served, hours: float | None, per_hour: float, recent: float) -> bool:
    row, falls = server.row, server.row.times_down or 0
    if row.parked:
        return False
    if server.fell >= (2 if row.down else 1):
        return True
    if hours is not None and falls >= max(3.0, per_hour * hours):
        return True
    return not row.down and falls >= 2 and row.since is not None and row.since < recent


def _flaps(group: Group, members: list[Served], all_of_it: Traffic) -> Finding:
    fell = sum(s.fell for s in members)
    worst = max(members, key=lambda s: (s.fell, s.row.times_down or 0))
    together = len(members) > 1
    falls = worst.row.times_down or 0
    times = f"{falls} times" if falls > 1 else "once"
    which = names([s.row.name for s in members])
    return Finding(
        subject=group.row.name if together else worst.key,
        summary=f"{which} of backend {group.row.name} "
        + (f"fell {fell} times in this window" if fell > 1 else "fell and came back")
        + f": {worst.row.name} went down {times} so far, last check {last_check(worst.row)}",
        severity=Severity.MEDIUM,
        evidence=(
            Evidence(f"falls of {worst.key}", float(falls), "since the start", 2, SOURCE),
            Evidence("falls in this window", float(fell), "of all its servers", None, SOURCE),
            Evidence("last change of its state", float(worst.row.since or 0), "s ago", None,
                     SOURCE),
            Evidence("its failed checks", float(worst.row.failed_checks or 0), "since the start",
                     None, SOURCE),
        ),
        fixes=(
            setting(
                "Give the check more time, and a server that came back a gentle start",
                (
                    f"# in backend {group.row.name}",
                    "timeout check 5s",
                    "default-server inter 5s fall 3 rise 3 slowstart 30s",
                ),
                risk="a dead server is noticed after 15 s instead of 6 s",
                verify=runtime("show stat") + "  # chkdown stays the same",
            ),
        ),
        impact=all_of_it.lost(min(group.own_errors, group.grown["failed_connects"])),
        kind=Kind.LIVE if fell else Kind.RISK,
    )  # fmt: skip
