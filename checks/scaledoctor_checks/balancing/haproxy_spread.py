"""Whether HAProxy spreads requests as its weights say, why not, and what that costs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Severity, Step, Window, check
from scaledoctor.sources.haproxy import HaproxyNow, HaproxyStats
from scaledoctor.sources.haproxy_cfg import HaproxyCfg
from scaledoctor_checks.balancing._balance import (
    CHANCE,
    DEVIATION,
    PER_MEMBER,
    TIMED,
    Imbalance,
    Member,
    by_work,
    imbalance,
    laggards,
)
from scaledoctor_checks.balancing._bounded import bounded
from scaledoctor_checks.balancing._haproxy import (
    SOURCE,
    Group,
    Traffic,
    algorithm,
    sticky,
    traffic,
)
from scaledoctor_checks.balancing._haproxy_words import runtime, setting

HASHES = ("source", "uri", "url_param", "hdr", "rdp-cookie", "hash")
"""Algorithms that give the same server to the same client or page."""

STARVED = 0.2
"""Share of the expected requests below which a server is as good as unused."""

SLOWED = 1.5
"""Times the others' time per request from which a server suffers from what it gets."""


@dataclass(frozen=True, slots=True)
class _Spread:
    """An uneven backend: why, the server that gets most, and what that costs.

    ``delayed`` are requests in hand, on average, that would not be there at the others' speed or
    wait for this server alone; ``idle`` says that others stand idle meanwhile.
    """

    found: Imbalance
    reason: str
    algorithm: str
    hot: Member
    in_flight: float
    delayed: float
    idle: bool


@check("haproxy.imbalance", step=Step.SCALE_OUT)
def uneven(
    stats: Window[HaproxyStats],
    now: Window[HaproxyNow],
    cfg: HaproxyCfg | None,
    /,
    *,
    per_member: float = PER_MEMBER,
    chance: float = CHANCE,
    deviation: float = DEVIATION,
    medium: float = 0.1,
    high: float = 0.3,
) -> Iterator[Finding]:
    """Requests are not spread over the servers of a backend as their weights say.

    Why: the server that gets most is slow while others idle, and one more server would not help.
    How measured: requests of each server that was up for the whole window against its weight:
    chi-square with p below ``chance``, at least ``per_member`` requests for each, and the worst
    off by ``deviation``. Under leastconn, and where work is even and the algorithm not known,
    count x time is tested instead. Medium from the share ``medium`` of all requests' time that
    the loaded server's slowness and queue cost, high from ``high``. Without an effect it is low,
    and info where persistence explains it.
    Fix: least connections; for persistence, state that all servers share.
    When to ignore: when caches in the servers need the same clients or pages.
    References: HAProxy, configuration manual, "balance", "hash-balance-factor".
    """
    everything = traffic(stats, now)
    limits = (per_member, chance, deviation)
    yield from bounded(
        _uneven(group, spread, everything, medium, high)
        for group in everything.groups
        if (spread := _spread(group, algorithm(group, cfg), limits, stuck=sticky(group, cfg)))
    )


def fair_members(group: Group) -> list[Member]:
    """Servers that got requests all the time; what a queue hands out counts as nobody's choice.

    A slow one is left out: least connections, or its maxconn, leads the requests around it.
    """
    members = [s.member for s in group.steady if not s.row.slow_start]
    slow = [laggard.member for laggard in laggards(members)]
    fair = [m for m in members if m not in slow]
    return [replace(m, pinned=0.0) for m in fair] if group.queueing else fair


def pinned_share(members: Sequence[Member]) -> float:
    """Share of their requests that a cookie or a stick table placed."""
    total = sum(m.requests for m in members)
    return sum(m.pinned for m in members) / total if total else 0.0


def _spread(
    group: Group, algo: str, limits: tuple[float, float, float], *, stuck: bool
) -> _Spread | None:
    """``stuck`` says that clients are meant to stick; while requests queue it cannot be counted."""
    members = fair_members(group)
    if algo.startswith("leastconn"):
        found = by_work(members)
    else:
        per_member, chance, deviation = limits
        found = imbalance(members, per_member=per_member, chance=chance, deviation=deviation)
        timed = sum(m.seen for m in members) >= per_member * len(members)
        if found and not algo and timed and by_work(members, deviation=deviation) is None:
            return None  # it looks like least connections: the work is even
    if found is None:
        return None
    reason = "hash" if algo.startswith(HASHES) else ""
    unseen = stuck and group.queueing > 0
    hot = _loaded(members)
    delayed, idle = _effect(group, members, hot)
    return _Spread(
        found=found,
        reason="persistence" if pinned_share(members) >= 0.5 or unseen else reason,
        algorithm=algo,
        hot=hot,
        in_flight=next(s.in_flight for s in group.steady if s.row.name == hot.name),
        delayed=delayed,
        idle=idle,
    )


def _loaded(members: Sequence[Member]) -> Member:
    """Of those that get more than their share, the one with the most in hand."""
    fair = sum(m.requests for m in members) / sum(m.weight for m in members)
    above = [m for m in members if m.weight and m.requests > fair * m.weight]
    # Under least connections by work alone nobody need be above in requests.
    return max(above or members, key=lambda m: (m.seconds, m.requests))


def _effect(group: Group, members: Sequence[Member], hot: Member) -> tuple[float, bool]:
    """Requests in hand that the uneven spread costs, and whether others idle meanwhile."""
    server = next(s for s in group.steady if s.row.name == hot.name)
    rest = [m for m in members if m is not hot]
    count = sum(m.requests for m in rest)
    mean = sum(m.seconds for m in rest) / count if count >= TIMED else None
    slowed = mean is not None and hot.mean >= SLOWED * mean and hot.seen >= TIMED
    excess = hot.seconds - hot.requests * (mean or 0.0) if slowed else 0.0
    starved = any(m.requests <= STARVED * hot.requests * m.weight / hot.weight for m in rest)
    return excess / server.window + server.queued, starved and server.in_flight >= 2


def _uneven(
    group: Group, spread: _Spread, everything: Traffic, medium: float, high: float
) -> Finding:
    impact = everything.held(spread.delayed)
    severity = Severity.INFO if spread.reason == "persistence" else Severity.LOW
    if impact >= medium:
        severity = Severity.HIGH if impact >= high else Severity.MEDIUM
    elif spread.idle and spread.reason != "persistence":
        severity = Severity.MEDIUM
    found, name = spread.found, group.row.name
    return Finding(
        subject=name,
        summary=_summary(group, spread),
        severity=severity,
        confidence=Confidence.HIGH if impact >= medium else Confidence.MEDIUM,
        evidence=(
            Evidence("requests of the one furthest off", found.worst.requests,
                     f"of {found.requests:.0f}, {found.worst.name}", found.expected, SOURCE),
            Evidence("off by", found.deviation, "of the expected", DEVIATION, SOURCE),
            Evidence("p by chi-square", found.p, "", CHANCE, "computed"),
            Evidence("placed by persistence", pinned_share(fair_members(group)), "share", None,
                     SOURCE),
            Evidence("balancing", spread.algorithm or "not shown at this level", source=SOURCE),
            Evidence("requests in hand that this costs, mean", spread.delayed, "requests", None,
                     SOURCE),
        ),
        fixes=tuple(_fixes(group, spread)),
        explains={group.key: min(1.0, spread.delayed / group.work)} if group.work else {},
        impact=impact,
    )  # fmt: skip


def _summary(group: Group, spread: _Spread) -> str:
    hot, total, name = spread.hot, group.requests, group.row.name
    share = hot.requests / total if total else 0.0
    fair = hot.weight / sum(m.weight for m in fair_members(group))
    why = {
        "persistence": "clients stick to their server",
        "hash": f"balance {spread.algorithm} gives a client or page always the same server",
    }.get(spread.reason, f"balancing is {spread.algorithm or 'not shown'}")
    effect = f"; {spread.in_flight:.1f} requests in hand there" if spread.in_flight >= 1 else ""
    return (
        f"{hot.name} of backend {name} gets {share:.0%} of the requests, its weight says "
        f"{fair:.0%}: {why}{effect}"
    )


def _fixes(group: Group, spread: _Spread) -> Iterator[Fix]:
    name = group.row.name
    verify = "scaledoctor scan: the requests follow the weights"
    if spread.reason == "persistence":
        yield setting(
            "Keep sessions where all servers find them, and let the cookie go",
            (f"# in backend {name}, once sessions are in Redis or the database:",
             "# cookie ...   (remove)", "balance leastconn"),
            risk="until sessions are shared, people are logged out",
            verify=verify,
        )  # fmt: skip
    elif spread.reason == "hash":
        yield setting(
            "Give requests to the server with the fewest open ones",
            (f"# in backend {name}", "balance leastconn"),
            risk="what lives in one server's memory only is not found by the others",
            verify=verify,
            undo=f"balance {spread.algorithm}, and reload",
        )
        yield setting(
            "Or keep the hash, and let no server have more than 1.5 times its share",
            (f"# in backend {name}", "hash-type consistent", "hash-balance-factor 150"),
            risk="some clients change their server when theirs is full",
            verify=verify,
        )
    else:
        yield Fix(
            "See weights, limits and persistence as HAProxy has them now",
            (runtime(f"show servers state {name}"), runtime("show table")),
            language="shell",
            risk="none",
            verify=verify,
            undo="none needed",
        )
