"""Which queues there are: some well-known keys, then a look at the names, within a budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

from scaledoctor.sources.redis._allowed import MOST, Command
from scaledoctor.sources.redis._arq import ARQ
from scaledoctor.sources.redis._bullmq import BULLMQ
from scaledoctor.sources.redis._celery import CELERY
from scaledoctor.sources.redis._dramatiq import DRAMATIQ
from scaledoctor.sources.redis._framework import Db, Framework
from scaledoctor.sources.redis._huey import HUEY
from scaledoctor.sources.redis._rq import RQ
from scaledoctor.sources.redis._sidekiq import SIDEKIQ
from scaledoctor.sources.redis.session import RedisSession

FRAMEWORKS: tuple[Framework, ...] = (RQ, CELERY, SIDEKIQ, BULLMQ, ARQ, DRAMATIQ, HUEY)

MOST_KEYS = 50_000
"""Names looked at in one database, and again for streams: below 0.2 s of the server's time."""

MOST_SECONDS = 1.0
"""For all databases together; the engine gives a reading 4 s."""

MOST_QUEUES = 200
"""Queues read at every sample, some ten commands each."""


@dataclass(slots=True)
class Plan:
    """What to read in one database: queues by framework, streams, keys that the user named."""

    db: Db
    queues: list[tuple[Framework, list[bytes]]] = field(default_factory=list)
    streams: list[bytes] = field(default_factory=list)
    named: list[bytes] = field(default_factory=list)


async def detect(session: RedisSession) -> tuple[list[Plan], bool]:
    """Return a plan for each database, and whether all names were looked at."""
    deadline, complete, left = monotonic() + MOST_SECONDS, True, MOST_QUEUES
    plans: list[Plan] = []
    for number in session.databases:
        db = Db(session, number)
        plan = Plan(db)
        keys, all_names = await _names(db, deadline)
        plan.streams, all_streams = await _streams(db, deadline)
        complete = complete and all_names and all_streams
        for framework in FRAMEWORKS:
            found = await framework.names(db, keys.get(framework.system, ()))
            if found:
                plan.queues.append((framework, found[:left]))
            complete, left = complete and len(found) <= left, max(0, left - len(found))
        plan.streams = _own(plan.streams, keys)[:left]
        plan.named = [name for name in session.names if not _claimed(name)]
        plans.append(plan)
    return plans, complete


def _claimed(name: bytes) -> bool:
    """A framework reads it anyway."""
    return any(f.pattern.search(name) for f in FRAMEWORKS)


def _own(streams: Sequence[bytes], keys: Mapping[str, Sequence[bytes]]) -> list[bytes]:
    """Leave out the events that BullMQ tells of its own queues."""
    queues = [k.removesuffix(b":meta") for k in keys.get(BULLMQ.system, ())]
    return [s for s in streams if s.removesuffix(b":events") not in queues]


async def _names(db: Db, deadline: float) -> tuple[dict[str, list[bytes]], bool]:
    """Names that a framework knows, by its system: the anchors that exist, and those scanned."""
    anchors = sorted({*(a for f in FRAMEWORKS for a in f.anchors), *db.session.names})
    kinds = await db.run(*(("TYPE", key) for key in anchors))
    there = {key for key, kind in zip(anchors, kinds, strict=True) if kind != b"none"}
    scanned, complete = await _scan(db, deadline)
    found: dict[str, list[bytes]] = {}
    for key in sorted(there | scanned):
        for framework in FRAMEWORKS:
            if framework.pattern.search(key):
                found.setdefault(framework.system, []).append(key)
    return found, complete


async def _scan(db: Db, deadline: float, *more: str) -> tuple[set[bytes], bool]:
    """Names that some framework knows, or all of one type; and whether the scan came to its end."""
    found: set[bytes] = set()
    for node in db.session.nodes.wires:
        cursor, seen = b"0", 0
        while True:
            command: Command = ("SCAN", cursor, "COUNT", MOST, *more)
            reply = db.session.judge(command, (await node.run([command], db.number))[0])
            if not isinstance(reply, list):
                return found, False
            cursor, keys = reply
            found.update(key for key in keys if more or _claimed(key))
            seen += MOST
            if cursor == b"0":
                break
            if seen >= MOST_KEYS or monotonic() > deadline:
                return found, False
    return found, True


async def _streams(db: Db, deadline: float) -> tuple[list[bytes], bool]:
    """Streams have no names of their own: the server looks at the types (from version 6 on)."""
    if int(db.session.info["redis_version"].partition(".")[0] or 0) < 6:
        return [], False
    found, complete = await _scan(db, deadline, "TYPE", "stream")
    return sorted(found), complete
