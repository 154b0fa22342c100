"""HAProxy's own limits on sessions: a frontend's maxconn and the process's."""

from collections.abc import Iterator, Mapping, Sequence

from scaledoctor.sdk import Evidence, Finding, Fix, Severity, Step, Window, check
from scaledoctor.sources.haproxy import HaproxyInfo, HaproxyNow, HaproxyStats
from scaledoctor_checks.balancing._bounded import bounded
from scaledoctor_checks.balancing._haproxy import SOURCE, busiest
from scaledoctor_checks.balancing._haproxy_words import runtime, setting


@check("haproxy.maxconn-reached", step=Step.SCALE_OUT)
def maxconn_reached(
    now: Window[HaproxyNow],
    stats: HaproxyStats,
    window: Window[HaproxyInfo] | None,
    /,
    *,
    full: float = 0.95,
    samples: float = 0.5,
) -> Iterator[Finding]:
    """HAProxy takes no more connections: a frontend or the process is at its maxconn.

    Why: the next clients wait in the kernel's queue, where no statistics show them, and are
    refused when that is full too.
    How measured: samples with ``full`` of the limit taken, at least the share ``samples`` of
    them; for the process also how often the limit was reached. Sessions with a request in a
    backend are told apart from idle keep-alive ones.
    Thresholds: ours; above ``full`` a newcomer seldom finds room.
    Fix: a higher limit, idle connections closed earlier, or whatever makes requests stay.
    When to ignore: when the limit is a deliberate brake.
    References: HAProxy, configuration manual, "maxconn" (global and frontend), "timeout
    http-keep-alive".
    """
    taken = {f.name: ([n.sessions.get(f.name, 0) for n in now], f.limit) for f in stats.frontends}
    limit = window.last.limit if window is not None else None
    # A frontend without a maxconn of its own shows the process's: that one is named then.
    found = [
        _full(f"frontend {name}", "haproxy.frontend:" + name, used, own, now, full)
        for name, (used, own) in taken.items()
        if own and own != limit and _at_limit(used, own, full) >= samples
    ]
    used = [sum(n.sessions.values()) for n in now]
    reached = (window.last.reached or 0) - (window.first.reached or 0) if window else 0
    if limit and (_at_limit(used, limit, full) >= samples or reached > 0):
        found.append(_full("global", "haproxy.process", used, limit, now, full))
    yield from bounded(iter(found))


def _at_limit(used: Sequence[int], limit: int, full: float) -> float:
    """Share of the samples at the limit."""
    return sum(one >= full * limit for one in used) / len(used)


def _full(
    where: str, key: str, used: Sequence[int], limit: int, now: Window[HaproxyNow], full: float
) -> Finding:
    sessions = sum(used) / len(used)
    inside = busiest(now, sessions)
    busy = min(1.0, _in_hand(now) / sessions) if sessions else 0.0
    time = max(_at_limit(used, limit, full), 1 / len(used))
    backend = next(iter(inside), "").partition(":")[2]
    cause = (
        f"{busy:.0%} of them have a request in a backend, most in {backend}"
        if busy >= 0.5
        else f"{1 - busy:.0%} of them are idle keep-alive connections"
    )
    return Finding(
        subject=where,
        summary=f"{where} is at its maxconn: {sessions:.0f} of {limit} sessions; {cause}",
        severity=Severity.HIGH,
        evidence=(
            Evidence("sessions, mean", sessions, f"of {limit}", full * limit, SOURCE),
            Evidence("share of the samples at the limit", time, "", None, SOURCE),
            Evidence("sessions with a request in a backend", busy, "share", None, SOURCE),
        ),
        fixes=tuple(_fixes(where, limit, busy)),
        explains={key: 1.0},
        waits_for=_waits(inside),
        # In that share of the window newcomers waited, unseen.
        impact=time,
    )


def _in_hand(now: Window[HaproxyNow]) -> float:
    return now.mean(lambda n: sum(b.current + b.queued for b in n.backends.values()))


def _waits(inside: Mapping[str, float]) -> Mapping[str, float]:
    return {key: share for key, share in inside.items() if share >= 0.5}


def _fixes(where: str, limit: int, busy: float) -> Iterator[Fix]:
    if busy < 0.5:
        yield setting(
            "Close idle connections of clients earlier",
            ("# in defaults", "timeout http-keep-alive 5s", "timeout http-request 10s"),
            risk="clients connect again after five idle seconds",
            verify="the sessions of haproxy.frontend fall below the limit",
        )
    place = "global" if where == "global" else where
    yield setting(
        f"Raise maxconn from {limit}",
        (f"# in {place}; a proxied session takes two files and about 50 kB",
         f"maxconn {2 * limit}"),
        risk="memory and file descriptors; the servers need maxconn of their own, or they get "
        "all of it",
        verify=runtime("show info") + " | grep -iE 'maxconn|ulimit|CurrConns'",
        undo=f"maxconn {limit}",
    )  # fmt: skip
