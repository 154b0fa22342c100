"""What the commands took of the main thread in the window."""

from collections.abc import Mapping
from dataclasses import dataclass

from scaledoctor.sdk import Window
from scaledoctor.sources.redis.health import RedisHealth


@dataclass(frozen=True, slots=True)
class Taken:
    """One command in the window; ``share`` is of the window's time on the main thread."""

    name: str
    calls: int
    seconds: float
    share: float

    @property
    def each(self) -> float:
        """Seconds of one call, in which nobody else is served."""
        return self.seconds / self.calls


def taken(health: Window[RedisHealth]) -> list[Taken]:
    """Each command that ran, the dearest first; empty without rates."""
    if len(health) < 2 or health.seconds <= 0 or health.last.uptime < health.first.uptime:
        return []
    before = {c.name: c for c in health.first.commands}
    found: list[Taken] = []
    for now in health.last.commands:
        then = before.get(now.name)
        calls = now.calls - (then.calls if then else 0)
        seconds = now.seconds - (then.seconds if then else 0.0)
        if calls > 0 and seconds >= 0:  # CONFIG RESETSTAT turns them back
            found.append(Taken(now.name, calls, seconds, min(1.0, seconds / health.seconds)))
    return sorted(found, key=lambda t: (-t.seconds, t.name))


def main_thread(health: Window[RedisHealth]) -> float | None:
    """Cores that the main thread used; None where it is not told."""
    if any(h.main_thread is None for h in health):
        return None
    return health.rate(lambda h: h.main_thread or 0.0)


LONG: Mapping[str, str] = {
    "keys": "SCAN, or an index of your own: KEYS looks at every key of the database",
    "flushall": "FLUSHALL ASYNC, or names with a version in them",
    "flushdb": "FLUSHDB ASYNC, or names with a version in them",
    "hgetall": "HMGET of the fields that are needed, HSCAN for all",
    "hkeys": "HSCAN",
    "hvals": "HSCAN",
    "smembers": "SSCAN, SISMEMBER or SMISMEMBER",
    "sinter": "SINTERCARD with LIMIT, or a kept result (SINTERSTORE off the busy hour)",
    "sunion": "a kept result (SUNIONSTORE off the busy hour)",
    "sdiff": "a kept result (SDIFFSTORE off the busy hour)",
    "lrange": "parts of the list: LRANGE key 0 99",
    "zrange": "parts: ZRANGE key 0 99",
    "zrangebyscore": "ZRANGEBYSCORE with LIMIT",
    "zrevrange": "parts: ZREVRANGE key 0 99",
    "sort": "a sorted set, or sorting in the application",
    "sort_ro": "a sorted set, or sorting in the application",
    "eval": "shorter scripts: while one runs nobody else is served",
    "evalsha": "shorter scripts: while one runs nobody else is served",
    "eval_ro": "shorter scripts: while one runs nobody else is served",
    "evalsha_ro": "shorter scripts: while one runs nobody else is served",
    "fcall": "shorter functions: while one runs nobody else is served",
    "fcall_ro": "shorter functions: while one runs nobody else is served",
    "exec": "shorter transactions: while one runs nobody else is served",
    "del": "UNLINK: it frees large keys beside the main thread",
    "lrem": "a set or a sorted set where members are taken from the middle",
    "linsert": "a sorted set where members are put into the middle",
    "lpos": "a set beside the list",
    "get": "smaller values: compressed, or cut into fields",
    "set": "smaller values: compressed, or cut into fields",
    "save": "BGSAVE",
    "debug": "no DEBUG on a server that others use",
    "memory|usage": "a few samples: MEMORY USAGE key SAMPLES 5",
}
"""Commands whose time grows with what they look at, and what does the same in parts."""
