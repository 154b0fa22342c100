"""What the cache lets through."""

from scaledoctor.sdk import Step, Use, Window, resource
from scaledoctor.sources.queues import Queues
from scaledoctor.sources.redis.traffic import RedisTraffic
from scaledoctor_checks.redis._facts import lookups, queues_of


@resource("redis.misses", step=Step.TIGHTEN)
def misses(
    traffic: Window[RedisTraffic],
    queues: Queues | None,
    /,
    *,
    warn: float = 0.5,
    critical: float = 0.95,
) -> Use | None:
    """Lookups that the cache does not answer, of all.

    How measured: keyspace_misses against hits and misses over the window, from 1,000 lookups on;
    not where queues live, whose workers ask for keys that need not be there.
    Thresholds: busy from ``warn``, where it lets through more than it keeps away. It is never
    called saturated, not even from ``critical`` on: whether a miss costs anything is for whoever
    answers it.
    """
    found = lookups(traffic)
    if found is None or queues_of(queues):
        return None
    rate = found.count / found.seconds
    return Use(
        used=found.misses / found.seconds,
        limit=rate,
        unit="lookups/s",
        warn=warn,
        critical=critical,
        contended=False,
        scales=False,
        detail=f"{1 - found.ratio:.0%} of {rate:,.0f} lookups/s find nothing",
    )
