"""A cache that does not answer, for another reason than room."""

from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Severity, Step, Window, check
from scaledoctor.sources.postgres import Activity, Statements
from scaledoctor.sources.queues import Queues
from scaledoctor.sources.redis.health import RedisHealth
from scaledoctor.sources.redis.traffic import RedisTraffic
from scaledoctor_checks.postgres._words import statement
from scaledoctor_checks.redis._cache import POOR, too_small
from scaledoctor_checks.redis._database import Tie, tie
from scaledoctor_checks.redis._facts import Lookups, flushes, queues_of, require_lookups
from scaledoctor_checks.redis._words import INFO


@check("redis.low-hit-ratio", step=Step.TIGHTEN)
def low_hit_ratio(
    traffic: Window[RedisTraffic],
    health: Window[RedisHealth],
    queues: Queues | None,
    activity: Window[Activity] | None,
    statements: Window[Statements] | None,
    /,
    *,
    poor: float = POOR,
    worse: float = 0.5,
) -> Iterator[Finding]:
    """Many lookups find nothing, though the cache has room.

    Why: each costs a round trip and then the work that the cache was to save.
    How measured: over at least 1,000 lookups fewer than ``poor`` find their key: low, because a
    lookup that finds nothing may be an answer (a session, a limit, a lock). Medium below
    ``worse`` when one statement of the database is called as often as there are misses. Not where
    queues live, not when the cache is too small (redis.evictions) or was emptied (redis.flushed).
    Fix: longer lives of the keys, the answer "there is none" kept too, the keys asked for and
    those written compared.
    When to ignore: the absence of a key is the usual answer.
    References: Redis, INFO, keyspace_hits; "Negative caching".
    """
    if queues_of(queues) or health.delta(flushes):
        return
    found = require_lookups(traffic)
    if found.ratio >= poor or too_small(found):
        return
    seen = tie(traffic, activity, statements)
    dear = seen is not None and found.ratio < worse
    expired = traffic.delta(lambda t: t.expired) or 0.0
    yield Finding(
        subject="keyspace",
        summary=_summary(found, seen),
        severity=Severity.MEDIUM if dear else Severity.LOW,
        confidence=Confidence.MEDIUM,
        evidence=(
            Evidence("hit ratio in the window", found.ratio, "of lookups", poor, INFO),
            Evidence("lookups", found.count / found.seconds, "per second", source=INFO),
            Evidence("keys thrown out for each miss", found.pushed_out, source=INFO),
            Evidence("keys expired for each miss", expired / found.misses, source=INFO),
        ),
        fixes=(_fix(expired, found),),
        explains={"redis.misses": 1.0} if dear else {},
        impact=(1 - found.ratio) * seen.share if seen else 0.0,
    )


def _summary(found: Lookups, seen: Tie | None) -> str:
    head = (
        f"only {found.ratio:.0%} of {found.count / found.seconds:,.0f} lookups/s find their key, "
        "and not for want of room"
    )
    if seen is None:
        return head
    words = statement(seen.statement.query, 60)
    return f"{head}; the misses are {seen.share:.0%} of the database's time: {words}"


def _fix(expired: float, found: Lookups) -> Fix:
    short = expired >= 0.5 * found.misses
    title = "Let the keys live longer" if short else "Find out which keys are asked for in vain"
    lines = (
        ("# about as many keys expire as are missed: double their time to live",
         "SET key value EX 600  # instead of 300; with 10 % at random, so that they do not "
         "expire together")
        if short else
        ("# is what was loaded also written, under the same name? is \"there is none\" kept too?",
         "SET key \"\" EX 60  # for what the database does not have either")
    )  # fmt: skip
    return Fix(
        title,
        lines,
        "text",
        risk="older answers; more memory",
        verify="scaledoctor scan again: the hit ratio rises",
        undo="the old time to live",
    )
