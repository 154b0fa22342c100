"""The queues of every framework that keeps them in Redis."""

from scaledoctor.sdk import Cadence, probe
from scaledoctor.sources.queues import Queue, Queues
from scaledoctor.sources.redis import _lists, _streams
from scaledoctor.sources.redis._detect import Plan, detect
from scaledoctor.sources.redis.session import RedisSession


@probe(
    cost="names: at most 100,000 by SCAN, once; then 4 to 10 commands for each queue and sample",
    cadence=Cadence.SAMPLED,
)
async def redis_queues(redis: RedisSession) -> Queues:
    """Find the queues at the first reading, then read their lengths, ages and workers."""
    if "plans" not in redis.memory:
        redis.memory["plans"] = await detect(redis)
    plans, complete = redis.memory["plans"]
    named = [(plan.db, await _lists.kinds(plan.db, plan.named)) for plan in plans if plan.named]
    found = [queue for plan in plans for queue in await _read(plan)]
    for place, (db, kinds) in enumerate(named):
        found += await _lists.read(db, kinds, missing=not place)
    return Queues(tuple(found), complete, misnamed=_lists.misnamed(named))


async def _read(plan: Plan) -> list[Queue]:
    found = [q for framework, names in plan.queues for q in await framework.read(plan.db, names)]
    if plan.streams:
        found += await _streams.read(plan.db, plan.streams)
    return found
