"""A Redis over a window for the tests of checks, with the values that do not matter filled in."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scaledoctor.sdk import Finding, Window
from scaledoctor.sources.queues import Queue, Queues
from scaledoctor.sources.redis.config import RedisConfig
from scaledoctor.sources.redis.health import (
    RedisCommand,
    RedisDatabase,
    RedisHealth,
    RedisMemory,
    RedisPersistence,
    RedisReplication,
)
from scaledoctor.sources.redis.keys import KeyGroup, RedisKeys
from scaledoctor.sources.redis.traffic import RedisTraffic

MB = 1 << 20

_MEMORY = RedisMemory(
    used=30 * MB, resident=40 * MB, peak=60 * MB, startup=MB, limit=100 * MB, policy="allkeys-lru",
    machine=8 << 30,
)  # fmt: skip

_PERSISTENCE = RedisPersistence(
    saved=True, unsaved=0, append_only=False, written=True, delayed=0, fork=0.001, forks=1
)

_REPLICATION = RedisReplication(
    replica=False, linked=True, apart=0, syncing=False, replicas=(), full=0, backlog=MB
)

HEALTH = RedisHealth(
    product="Redis", version="7.0.15", uptime=86_400, cluster=False, memory=_MEMORY, connected=20,
    clients_limit=10_000, blocked=0, connections=1_000, rejected=0, commands_run=1_000_000,
    hits=95_000, misses=5_000, evicted=0, expired=0, main_thread=100.0, io_threads=False,
    persistence=_PERSISTENCE, replication=_REPLICATION, commands=(), errors={},
    databases=(RedisDatabase(0, 5_000, 4_000),),
)  # fmt: skip

CONFIG = RedisConfig({"save": "3600 1", "appendonly": "no", "stop-writes-on-bgsave-error": "yes"})

JOBS = Queues((Queue(system="rq", name="mail", ready=3),))

SECONDS = 10.0


def health(**changes: Any) -> RedisHealth:
    """A calm cache; names of parts (memory, persistence, replication) take mappings of changes."""
    parts = {
        name: replace(getattr(HEALTH, name), **changes.pop(name))
        for name in ("memory", "persistence", "replication")
        if isinstance(changes.get(name), Mapping)
    }
    return replace(HEALTH, **parts, **changes)


def over(first: RedisHealth, **grown: Any) -> Window[RedisHealth]:
    """That server at both edges of ten seconds; counters grow by so much, the rest is replaced."""
    numbers = {
        name: getattr(first, name) + value
        for name, value in grown.items()
        if isinstance(value, int | float) and name not in ("connected", "uptime")
    }
    return Window.of(first, replace(first, **{**grown, **numbers}), every=SECONDS)


def command(name: str, calls: int, seconds: float) -> RedisCommand:
    """One command's counters."""
    return RedisCommand(name, calls, seconds)


def traffic(
    hits: int, misses: int, evicted: int = 0, expired: int = 0, *, before: tuple[int, int] = (0, 0)
) -> Window[RedisTraffic]:
    """Lookups that grow evenly over ten seconds; ``before`` are hits and misses until then."""
    parts = [i / 20 for i in range(21)]
    return Window.of(
        *(
            RedisTraffic(
                before[0] + round(hits * part), before[1] + round(misses * part),
                round(evicted * part), round(expired * part),
            )
            for part in parts
        )
    )  # fmt: skip


def group(pattern: str = "product:*", **changes: Any) -> KeyGroup:
    """A hundred small keys."""
    one = KeyGroup(0, pattern, "string", 100, 10_000, 100, 0, 0, 0)
    return replace(one, **changes)


def keys(*groups: KeyGroup) -> RedisKeys:
    """A sample of them."""
    return RedisKeys(sum(g.keys for g in groups), False, groups)


def only(found: Any) -> Finding:
    """The one finding."""
    (finding,) = found
    assert isinstance(finding, Finding)
    return finding
