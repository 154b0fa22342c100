"""Keys that are too large, and keys that never go, in a sample."""

from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Kind, Severity, Step, check
from scaledoctor.sources.queues import Queue, Queues
from scaledoctor.sources.redis._patterns import pattern_of
from scaledoctor.sources.redis.health import RedisHealth
from scaledoctor.sources.redis.keys import KeyGroup, RedisKeys
from scaledoctor_checks.redis._facts import queues_of
from scaledoctor_checks.redis._words import size

SAMPLE = "a sample of keys by SCAN"

ENOUGH = 100
"""Keys below which a share of the sample is chance."""

JOBS = ("list", "stream", "zset")
"""Types of keys that frameworks keep jobs in."""

LARGEST = 5
"""Patterns that are told, those with the largest keys."""


@check("redis.big-keys", step=Step.TIGHTEN)
def big_keys(
    keys: RedisKeys,
    queues: Queues | None,
    /,
    *,
    big: int = 1 << 20,
    huge: int = 10 << 20,
    elements: int = 10_000,
) -> Iterator[Finding]:
    """Single keys are so large that reading or deleting one stops the server.

    Why: one command moves all of it: HGETALL, DEL and expiry take as long as it is large; in a
    cluster it cannot be spread.
    How measured: MEMORY USAGE (by five elements) of at most 1,000 keys: from ``big`` bytes on,
    or a collection of ``elements`` of them; medium from ``huge`` bytes. A risk: what it costs
    redis.blocking-command tells. Queues are meant to be long and are left out.
    Fix: cut it into parts by a part of the name; UNLINK instead of DEL.
    When to ignore: it is read in parts and never as a whole.
    References: Redis, MEMORY USAGE, UNLINK; redis-cli --bigkeys.
    """
    found = [
        group
        for group in keys.groups
        if (group.largest >= big or group.elements >= elements)
        and not _of_a_queue(group, queues_of(queues))
    ]
    for group in sorted(found, key=lambda g: -g.largest)[:LARGEST]:
        many = f", {group.elements:,} elements" if group.elements else ""
        yield Finding(
            subject=group.pattern,
            summary=f"a {group.type} like {group.pattern} has {size(group.largest)}{many}",
            severity=Severity.MEDIUM if group.largest >= huge else Severity.LOW,
            confidence=Confidence.HIGH,
            evidence=(
                Evidence("largest key", float(group.largest), "bytes", float(big), SAMPLE),
                Evidence("its elements", float(group.elements), "elements", float(elements),
                         SAMPLE),
                Evidence("keys of that pattern", float(group.keys), f"of {keys.seen:,} sampled",
                         source=SAMPLE),
            ),
            fixes=(_cut(group),),
            kind=Kind.RISK,
        )  # fmt: skip


def _of_a_queue(group: KeyGroup, queues: list[Queue]) -> bool:
    """Its names have a queue's name as a part; one with a number is any list of jobs."""
    names = {pattern_of(q.name.partition("@")[0].partition("/")[0]) for q in queues}
    if group.type not in JOBS:
        names.discard("*")
    return any(f":{name}:" in f":{group.pattern}:" for name in names)


def _cut(group: KeyGroup) -> Fix:
    return Fix(
        "Cut it into parts, and free it beside the main thread",
        (
            f"redis-cli --memkeys -i 0.01  # finds the keys like {group.pattern}",
            "# one key for each day, customer or hash of the field; UNLINK instead of DEL",
        ),
        "text",
        risk="the application has to know the parts",
        verify="scaledoctor scan again: no such key in the sample",
        undo="none needed: the parts can be read as the whole was",
    )


@check("redis.no-ttl", step=Step.TIGHTEN)
def no_ttl(
    keys: RedisKeys,
    health: RedisHealth,
    queues: Queues | None,
    /,
    *,
    share: float = 0.5,
    mixed: float = 0.1,
    near: float = 0.8,
) -> Iterator[Finding]:
    """A cache fills up with keys that never go.

    Why: keys without a time to live stay when nobody asks for them; under volatile-* and
    noeviction nothing throws them out, and the others lose their room.
    How measured: of at least 100 sampled keys ``share`` of the bytes never expire, while
    ``mixed`` or more of all keys do, as in a cache; the policy does not throw them out, and
    memory is at ``near`` of maxmemory. Not where queues live, whose keys stay on purpose.
    Fix: a time to live with each SET, or allkeys-lru.
    When to ignore: a store whose keys are meant to stay.
    References: Redis, EXPIRE; Key eviction.
    """
    memory = health.memory
    if queues_of(queues) or memory.evicts_all or not memory.limit or memory.share < near:
        return
    total = sum(group.bytes for group in keys.groups)
    staying = sum(group.forever_bytes for group in keys.groups)
    mortal = sum(d.expires for d in health.databases) / max(1, health.keys)
    if keys.seen < ENOUGH or not total or staying < share * total or mortal < mixed:
        return
    worst = max(keys.groups, key=lambda group: group.forever_bytes)
    yield Finding(
        subject=worst.pattern,
        summary=f"{staying / total:.0%} of the sampled memory never expires, most of it "
        f"{worst.pattern}; it is {memory.share:.0%} full and {memory.policy} keeps them",
        severity=Severity.LOW,
        confidence=Confidence.MEDIUM,
        evidence=(
            Evidence("bytes that never expire", staying / total, "share", share, SAMPLE),
            Evidence("keys that expire", mortal, "of all keys", mixed, "INFO keyspace"),
            Evidence("memory used", memory.share, "of maxmemory", near, "INFO memory"),
        ),
        fixes=(_mortal(worst, memory.policy),),
        kind=Kind.RISK,
    )


def _mortal(group: KeyGroup, policy: str) -> Fix:
    return Fix(
        f"Give keys like {group.pattern} a time to live",
        (
            "SET key value EX 86400  # wherever they are written",
            "redis-cli CONFIG SET maxmemory-policy allkeys-lru  # or let any old key go",
        ),
        "text",
        risk="with allkeys-lru any key may go: not where something lives that nothing can restore",
        verify="scaledoctor scan again: less of the sample stays for ever",
        undo=f"redis-cli CONFIG SET maxmemory-policy {policy}",
    )
