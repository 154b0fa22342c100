"""The cache is too small for what is asked of it."""

from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Severity, Step, Window, check
from scaledoctor.sources.postgres import Activity, Statements
from scaledoctor.sources.queues import Queues
from scaledoctor.sources.redis.config import RedisConfig
from scaledoctor.sources.redis.health import RedisHealth
from scaledoctor.sources.redis.traffic import RedisTraffic
from scaledoctor_checks.postgres._words import statement
from scaledoctor_checks.redis._cache import POOR, TIED, too_small
from scaledoctor_checks.redis._database import Tie, tie
from scaledoctor_checks.redis._facts import Lookups, queues_of, require_lookups, require_rates
from scaledoctor_checks.redis._words import INFO, setting, size

UNSEEN = 0.3
"""Of the misses' share, what we dare to call impact when nobody shows what a miss costs."""


@check("redis.evictions", step=Step.TIGHTEN)
def evictions(
    health: Window[RedisHealth],
    traffic: Window[RedisTraffic],
    queues: Queues | None,
    config: RedisConfig | None,
    activity: Window[Activity] | None,
    statements: Window[Statements] | None,
    /,
    *,
    poor: float = POOR,
    pushed: float = TIED,
    fallen: float = 0.1,
    spare: float = 1.25,
) -> Iterator[Finding]:
    """The cache is too small: it throws out what is asked for again.

    Why: each key thrown out too soon comes back as a read of the database.
    How measured: over at least 1,000 lookups the hit ratio is below ``poor``, and ``pushed`` or
    more keys are thrown out for each miss: misses of keys that expired or never were push out
    none. Surer when the ratio is ``fallen`` below that since the server's start. Tied to the
    database when one statement is called as often as there are misses. Not where queues live:
    there redis.evicts-jobs tells it.
    Fix: room: ``spare`` times the most memory that it ever used, at least twice the limit; else
    shorter lives, smaller values, or a second server.
    When to ignore: what is asked for hardly ever comes twice: then no size helps.
    References: Redis, Key eviction; INFO, evicted_keys, keyspace_misses.
    """
    require_rates(traffic)
    if queues_of(queues) or not traffic.delta(lambda t: t.evicted):
        return
    found = require_lookups(traffic)
    if not too_small(found, poor, pushed):
        return
    seen, now = tie(traffic, activity, statements), health.last
    sure = found.fallen >= fallen or seen is not None
    lost = (1 - found.ratio) * found.pushed_out
    yield Finding(
        subject="maxmemory",
        summary=_summary(now, found, seen),
        severity=Severity.HIGH if seen else Severity.MEDIUM,
        confidence=Confidence.HIGH if sure else Confidence.MEDIUM,
        evidence=tuple(_evidence(now, found, seen, poor, pushed)),
        fixes=(_fix(now, config, spare),),
        explains={"redis.memory": 1.0, "redis.misses": found.pushed_out},
        impact=lost * (seen.share if seen else UNSEEN),
    )


def _summary(now: RedisHealth, found: Lookups, seen: Tie | None) -> str:
    limit = f" of {size(now.memory.limit)}" if now.memory.limit else ""
    usual = f", usually {found.usual:.0%}" if found.usual and found.fallen >= 0.01 else ""
    head = (
        f"the cache{limit} throws out {found.evicted / found.seconds:,.0f} keys/s and answers "
        f"only {found.ratio:.0%} of the lookups{usual}"
    )
    if seen is None:
        return head
    return f"{head}; its misses are {seen.share:.0%} of the database's time: " + statement(
        seen.statement.query, 60
    )


def _evidence(
    now: RedisHealth, found: Lookups, seen: Tie | None, poor: float, pushed: float
) -> Iterator[Evidence]:
    yield Evidence("hit ratio in the window", found.ratio, "of lookups", poor, INFO)
    yield Evidence("lookups", found.count / found.seconds, "per second", source=INFO)
    yield Evidence("keys thrown out", found.evicted / found.seconds, "per second", source=INFO)
    yield Evidence("keys thrown out for each miss", found.pushed_out, "", pushed, INFO)
    if found.usual is not None:
        yield Evidence("hit ratio since the start", found.usual, "of lookups", source=INFO)
    yield Evidence("most memory ever used", size(now.memory.peak), source=INFO)
    if seen is not None:
        yield Evidence("calls of the statement for each miss", seen.per_miss, "",
                       source="pg_stat_statements")  # fmt: skip
        yield Evidence("its share of the database's time", seen.share, "share",
                       source="pg_stat_statements")  # fmt: skip


def _fix(now: RedisHealth, config: RedisConfig | None, spare: float) -> Fix:
    wanted = max(2 * now.memory.limit, int(spare * now.memory.peak))
    room = f"{-(-wanted >> 20)}mb"
    return setting(
        f"Give the cache room: {room} instead of {size(now.memory.limit)}",
        "maxmemory", room, config,
        before=(f"# it once used {size(now.memory.peak)}; the machine has "
                f"{size(now.memory.machine)}",),
        risk="the machine needs that memory besides its other programs",
        verify="scaledoctor scan again: the hit ratio rises, fewer keys are thrown out",
        undo=f"redis-cli CONFIG SET maxmemory {now.memory.limit}",
    )  # fmt: skip
