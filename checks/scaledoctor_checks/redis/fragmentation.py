"""Memory that the process holds and does not use, or uses and does not hold."""

from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Kind, Severity, Step, check
from scaledoctor.sources.redis.health import RedisHealth
from scaledoctor_checks.redis._words import INFO, size


@check("redis.fragmentation", step=Step.TIGHTEN)
def fragmentation(
    health: RedisHealth,
    /,
    *,
    ratio: float = 1.5,
    floor: int = 200 << 20,
    swapped: float = 0.8,
) -> Iterator[Finding]:
    """It holds much more memory than its data need, or part of it was swapped out.

    Why: what it holds in vain nobody else has; a page that was swapped out stops the one thread
    until the disk has given it back.
    How measured: used_memory_rss over used_memory from ``ratio`` on, and ``floor`` bytes of
    difference: on small data the ratio means nothing (1.4 on 20 MB, 12 on an empty server).
    Below ``swapped``, with ``floor`` bytes used, pages are missing from memory.
    Fix: active defragmentation; for swap a maxmemory that the machine has.
    When to ignore: right after a peak: the memory is used again.
    References: Redis, INFO memory: mem_fragmentation_ratio; Memory optimization.
    """
    used, held = health.memory.used, health.memory.resident
    if not used or not held:
        return
    evidence = (
        Evidence("resident over used memory", held / used, "", ratio, INFO),
        Evidence("difference", size(abs(held - used)), "", size(floor), INFO),
        Evidence("used memory", size(used), source=INFO),
    )
    if held >= ratio * used and held - used >= floor:
        yield _scattered(health, evidence)
    elif used >= floor and held < swapped * used:
        yield _swapped(health, evidence)


def _scattered(health: RedisHealth, evidence: tuple[Evidence, ...]) -> Finding:
    memory = health.memory
    return Finding(
        subject="memory",
        summary=f"{health.product} holds {size(memory.resident)} for {size(memory.used)} of data",
        severity=Severity.LOW,
        evidence=evidence,
        fixes=(
            Fix(
                "Let it move its data together while it runs",
                ("redis-cli CONFIG SET activedefrag yes",
                 "# built without jemalloc it refuses that: restart it in a quiet hour"),
                "shell",
                risk="takes up to a quarter of the main thread meanwhile",
                verify="redis-cli INFO memory: mem_fragmentation_ratio below 1.5",
                undo="redis-cli CONFIG SET activedefrag no",
            ),
        ),
        kind=Kind.RISK,
    )  # fmt: skip


def _swapped(health: RedisHealth, evidence: tuple[Evidence, ...]) -> Finding:
    memory = health.memory
    return Finding(
        subject="swap",
        summary=f"only {size(memory.resident)} of {size(memory.used)} of data are in memory: the "
        "rest was swapped out",
        severity=Severity.MEDIUM,
        confidence=Confidence.MEDIUM,
        evidence=evidence,
        fixes=(
            Fix(
                "Let it have no more than the machine has; see who else takes memory",
                (f"redis-cli CONFIG SET maxmemory {memory.resident * 9 // 10 >> 20}mb",
                 "vmstat 1 5  # si and so: pages from and to the swap"),
                "shell",
                risk="with noeviction writes are refused at once, else keys are thrown out",
                verify="scaledoctor scan again: resident is above used memory",
                undo=f"redis-cli CONFIG SET maxmemory {memory.limit}",
            ),
        ),
        kind=Kind.RISK,
    )  # fmt: skip
