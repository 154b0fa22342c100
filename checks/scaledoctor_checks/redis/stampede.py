"""Many clients miss the same moment, and all ask the database at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Severity,
    Step,
    Unavailable,
    Window,
    check,
)
from scaledoctor.sources.postgres import Activity
from scaledoctor.sources.queues import Queues
from scaledoctor.sources.redis.traffic import RedisTraffic
from scaledoctor_checks.postgres._words import statement
from scaledoctor_checks.redis._facts import queues_of
from scaledoctor_checks.redis._words import INFO

READINGS = 4
"""Steps from one reading to the next below which there is no usual one."""

NEAR = 1.0
"""Seconds by which the samples of two servers may differ: both are taken twice a second."""


@dataclass(frozen=True, slots=True)
class _Burst:
    """Readings with a jump of misses: when, how many, and the usual number per reading."""

    times: tuple[float, ...]
    misses: int
    all_misses: int
    usual: float


@dataclass(frozen=True, slots=True)
class _Crowd:
    """Sessions that run one statement at the moments of a burst, and the mean otherwise."""

    query: str
    together: int
    calm: float


@check("redis.cache-stampede", step=Step.TIGHTEN)
def cache_stampede(
    traffic: Window[RedisTraffic],
    queues: Queues | None,
    activity: Window[Activity] | None,
    /,
    *,
    least: int = 10,
    times: float = 5.0,
    share: float = 0.5,
    sessions: int = 4,
) -> Iterator[Finding]:
    """A key expires, and all who want it load it from the database at once.

    Why: one key's expiry becomes many equal statements at once; the cache is there for the
    opposite.
    How measured: from both sides. Between two readings the misses jump to ``times`` what is usual
    and to ``least`` or more, and such jumps hold ``share`` of all misses; within a second of them
    ``sessions`` or more of the database's sessions run one statement, ``times`` as many as in the
    calm. One side alone says nothing.
    Fix: one loads and the others wait (a lock with SET NX), or the value is renewed before it
    expires; times to live with chance in them.
    When to ignore: a job that warms the cache.
    References: Vattani et al., "Optimal Probabilistic Cache Stampede Prevention"; Facebook,
    "Scaling Memcache", leases.
    """
    if queues_of(queues):
        return
    if len(traffic) <= READINGS:
        raise Unavailable("too few readings to see a jump", "scan with --window 10")
    burst = _burst(traffic, least, times)
    if burst is None or burst.misses < share * burst.all_misses:
        return
    if activity is None or activity.last.hidden:
        raise Unavailable(
            f"misses jump, {burst.misses:,} at once; the database's side is not seen",
            "scaledoctor scan --redis URL --dsn DSN, with a role in pg_monitor",
        )
    crowd = _crowd(activity, burst.times, sessions, times)
    if crowd is not None:
        part = min(1.0, len(burst.times) / max(1, len(activity) - 1))
        yield _finding(burst, crowd, part, (least, sessions))


def _finding(burst: _Burst, crowd: _Crowd, part: float, limits: tuple[int, int]) -> Finding:
    least, sessions = map(float, limits)
    return Finding(
        subject=crowd.query[:200],
        summary=f"misses jump by {burst.misses:,} at once, and {crowd.together} sessions of the "
        f"database run {statement(crowd.query, 70)} then, {crowd.calm:.1f} otherwise",
        severity=Severity.MEDIUM,
        confidence=Confidence.MEDIUM,
        evidence=(
            Evidence("misses in the jumps", float(burst.misses), "misses", least, INFO),
            Evidence("usual between two readings", burst.usual, "misses", source=INFO),
            Evidence("sessions with one statement at once", float(crowd.together), "sessions",
                     sessions, "pg_stat_activity"),
            Evidence("otherwise, mean", crowd.calm, "sessions", source="pg_stat_activity"),
        ),
        fixes=(_fix(),),
        explains={"redis.misses": burst.misses / burst.all_misses},
        impact=part,
    )  # fmt: skip


def _burst(traffic: Window[RedisTraffic], least: int, times: float) -> _Burst | None:
    samples = traffic.samples
    steps = [(at, b.misses - a.misses) for (_, a), (at, b) in pairwise(samples)]
    if any(grown < 0 for _, grown in steps):
        return None
    usual = median(grown for _, grown in steps)
    jumps = [(at, grown) for at, grown in steps if grown >= max(least, times * usual)]
    if not jumps:
        return None
    return _Burst(
        tuple(at for at, _ in jumps),
        sum(grown for _, grown in jumps),
        sum(grown for _, grown in steps),
        usual,
    )


def _crowd(
    activity: Window[Activity], moments: tuple[float, ...], sessions: int, times: float
) -> _Crowd | None:
    """The statement of most sessions at those moments; None when they are too few."""
    there: dict[str, int] = {}
    calm: dict[str, int] = {}
    quiet = 0
    for at, sample in activity.samples:
        now: dict[str, int] = {}
        for s in sample.sessions:
            if s.active and s.query:
                now[s.query] = now.get(s.query, 0) + 1
        if any(abs(at - moment) <= NEAR for moment in moments):
            for query, count in now.items():
                there[query] = max(there.get(query, 0), count)
        else:
            quiet += 1
            for query, count in now.items():
                calm[query] = calm.get(query, 0) + count
    if not there or not quiet:
        return None
    query = max(sorted(there), key=lambda q: there[q])
    usual = calm.get(query, 0) / quiet
    many = there[query] >= max(sessions, times * usual)
    return _Crowd(query, there[query], usual) if many else None


def _fix() -> Fix:
    return Fix(
        "Let one load it while the others wait, or renew it before it expires",
        (
            "SET lock:KEY 1 NX EX 10  # whoever gets it loads; the others wait and read again",
            "SET KEY value EX 300  # and up to 30 s more by chance: not all expire together",
            "# or, early: now - cost * log(random()) >= expiry  (probabilistic early expiration)",
        ),
        "text",
        risk="with a lock the others wait for the one who loads; its time-out must outlast that",
        verify="scaledoctor scan again: no jump of misses",
        undo="the old way of loading",
    )
