"""A sample of keys: how large, and whether they ever go. Names as patterns, never a value."""

from dataclasses import dataclass
from time import monotonic

from scaledoctor.sdk import Cadence, Unavailable, fact, probe
from scaledoctor.sources.redis._allowed import Command
from scaledoctor.sources.redis._framework import Db, number
from scaledoctor.sources.redis._patterns import patterns
from scaledoctor.sources.redis._wire import Reply
from scaledoctor.sources.redis.session import RedisSession

MOST_KEYS = 1_000
"""Keys looked at in all databases: 3,000 commands, some 5 ms of the server's time."""

BATCH = 100
"""Keys of one batch: each stops the server for below a millisecond."""

MOST_SECONDS = 0.5

GROUPS = 40
"""Patterns that are kept, those with most memory."""

ELEMENTS = 5
"""Of a key whose size is estimated: the default of MEMORY USAGE. 0 would read every one."""

LENGTH = {"list": "LLEN", "zset": "ZCARD", "set": "SCARD", "hash": "HLEN", "stream": "XLEN"}


@dataclass(frozen=True, slots=True)
class KeyGroup:
    """Sampled keys of one pattern and type: bytes in all, and the largest one's.

    ``elements`` are those of the largest; ``forever`` counts keys without a time to live, with
    ``forever_bytes`` in all.
    """

    database: int
    pattern: str
    type: str
    keys: int
    bytes: int
    largest: int
    elements: int
    forever: int
    forever_bytes: int


@fact
@dataclass(frozen=True, slots=True)
class RedisKeys:
    """``seen`` keys by pattern; ``complete`` when there are no others."""

    seen: int
    complete: bool
    groups: tuple[KeyGroup, ...]


@dataclass(frozen=True, slots=True)
class _Key:
    db: Db
    name: bytes
    type: str
    bytes: int
    forever: bool


@probe(
    cost="SCAN for at most 1,000 names, then TYPE, TTL and MEMORY USAGE of each, once",
    cadence=Cadence.LAST,  # the server counts our lookups as hits: not inside the window
)
async def redis_keys(redis: RedisSession) -> RedisKeys:
    """Look at the first keys that SCAN gives, which are in no order: a sample."""
    deadline = monotonic() + MOST_SECONDS
    found: list[_Key] = []
    complete = True
    for place, numbered in enumerate(redis.databases):
        share = (MOST_KEYS - len(found)) // (len(redis.databases) - place)
        names, all_names = await _names(Db(redis, numbered), share, deadline)
        keys = await _sized(Db(redis, numbered), names, deadline)
        complete = complete and all_names and len(keys) >= len(names)
        found += keys
    return RedisKeys(len(found), complete, await _groups(redis, found))


async def _names(db: Db, most: int, deadline: float) -> tuple[list[bytes], bool]:
    """Names of the first node; whether they are all."""
    found: set[bytes] = set()
    cursor: Reply = b"0"
    while len(found) < most and monotonic() < deadline:
        command: Command = ("SCAN", cursor, "COUNT", BATCH)
        (reply,) = await db.session.nodes.wires[0].run([command], db.number)
        reply = db.session.judge(command, reply)
        if not isinstance(reply, list):
            break
        cursor, names = reply
        found.update(names)
        if cursor == b"0":
            return sorted(found)[:most], len(found) <= most and len(db.session.nodes.wires) == 1
    return sorted(found)[:most], False


async def _sized(db: Db, names: list[bytes], deadline: float) -> list[_Key]:
    found: list[_Key] = []
    for start in range(0, len(names), BATCH):
        if monotonic() > deadline:
            break
        batch = names[start : start + BATCH]
        kinds = await db.run(*(("TYPE", name) for name in batch))
        times = await db.run(*(("TTL", name) for name in batch))
        sizes = await db.run(*(("MEMORY", "USAGE", name, "SAMPLES", ELEMENTS) for name in batch))
        if all(size is None for size in sizes) and any(kind != b"none" for kind in kinds):
            raise Unavailable("this user may not run MEMORY USAGE here", db.session.grant)
        found += [
            _Key(db, name, kind.decode(), number(size), ttl == -1)
            for name, kind, ttl, size in zip(batch, kinds, times, sizes, strict=True)
            if isinstance(kind, bytes) and kind != b"none" and size is not None
        ]
    return found


async def _groups(redis: RedisSession, found: list[_Key]) -> tuple[KeyGroup, ...]:
    named = patterns({key.name for key in found})
    groups: dict[tuple[int, str, str], list[_Key]] = {}
    for key in found:
        groups.setdefault((key.db.number, named[key.name], key.type), []).append(key)
    heaviest = sorted(groups.items(), key=lambda g: (-sum(k.bytes for k in g[1]), g[0]))[:GROUPS]
    return tuple([await _group(redis, pattern, keys) for (_, pattern, _), keys in heaviest])


async def _group(redis: RedisSession, pattern: str, keys: list[_Key]) -> KeyGroup:
    largest = max(keys, key=lambda key: key.bytes)
    elements: Reply = None
    if largest.type in LENGTH and largest.bytes >= 1 << 16:
        (elements,) = await largest.db.run((LENGTH[largest.type], largest.name))
    forever = [key.bytes for key in keys if key.forever]
    return KeyGroup(
        database=largest.db.number,
        pattern=redis.redactor.text(pattern),
        type=largest.type,
        keys=len(keys),
        bytes=sum(key.bytes for key in keys),
        largest=largest.bytes,
        elements=number(elements),
        forever=len(forever),
        forever_bytes=sum(forever),
    )
