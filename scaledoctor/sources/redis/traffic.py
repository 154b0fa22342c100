"""Lookups at each sample: a jump of misses is gone from the mean of a window."""

from dataclasses import dataclass

from scaledoctor.sdk import Cadence, Unavailable, fact, probe
from scaledoctor.sources.redis._info import Info
from scaledoctor.sources.redis.session import RedisSession, info_of


@fact
@dataclass(frozen=True, slots=True)
class RedisTraffic:
    """Counters since the start: keys found, not found, thrown out, expired."""

    hits: int
    misses: int
    evicted: int
    expired: int


@probe(cost="1 INFO stats, 0.05 ms, twice a second", cadence=Cadence.SAMPLED)
async def redis_traffic(redis: RedisSession) -> RedisTraffic:
    """Read the counters of lookups."""
    (reply,) = await redis.run(("INFO", "stats"))
    info = Info(info_of(reply) if isinstance(reply, bytes) else {})
    if info.known("keyspace_hits") is None:
        raise Unavailable("INFO stats does not count lookups here")
    return RedisTraffic(
        hits=info.count("keyspace_hits"),
        misses=info.count("keyspace_misses"),
        evicted=info.count("evicted_keys"),
        expired=info.count("expired_keys"),
    )
