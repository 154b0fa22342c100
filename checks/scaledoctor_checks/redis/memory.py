"""Memory against its limit: full is what a cache is meant to be, and the end of a store."""

from collections.abc import Iterator

from scaledoctor.sdk import (
    Evidence,
    Finding,
    Fix,
    Kind,
    Severity,
    Step,
    Use,
    Window,
    check,
    resource,
)
from scaledoctor.sources.queues import Queues
from scaledoctor.sources.redis.config import RedisConfig
from scaledoctor.sources.redis.health import RedisHealth
from scaledoctor.sources.redis.traffic import RedisTraffic
from scaledoctor_checks.redis._cache import too_small
from scaledoctor_checks.redis._facts import lookups, queues_of
from scaledoctor_checks.redis._words import INFO, setting, size

CALM = 2.0
"""Times its limit: never reached, for a cache that throws out the old is full all the time."""


@resource("redis.memory", step=Step.SCALE_OUT)
def memory(
    health: Window[RedisHealth],
    traffic: Window[RedisTraffic] | None,
    queues: Queues | None,
    /,
    *,
    warn: float = 0.8,
    critical: float = 0.95,
) -> Use | None:
    """Memory in use against maxmemory.

    How measured: used_memory and maxmemory; nothing to say without a limit. Writes that were
    refused for want of memory are its errors.
    Thresholds: busy from ``warn``, full from ``critical`` where a full server refuses writes or
    loses jobs. A cache that evicts is full by design: it is contended only when what it throws
    out is missed (redis.evictions).
    """
    now = health.last.memory
    if not now.limit:
        return None
    found = lookups(traffic) if traffic else None
    missed = found is not None and too_small(found) and not queues_of(queues)
    calm = now.evicts and not missed and not (queues_of(queues) and now.evicts_all)
    return Use(
        used=now.used / (1 << 20),
        limit=now.limit / (1 << 20),
        unit="MB",
        warn=CALM if calm else warn,
        critical=CALM if calm else critical,
        errors=health.delta(lambda h: h.refused("OOM")) or 0.0,
        scales=False,
        detail=f"{size(now.used)} of {size(now.limit)}, {now.policy or 'unknown policy'}",
    )


@check("redis.memory-full", step=Step.SCALE_OUT)
def memory_full(
    health: Window[RedisHealth],
    queues: Queues | None,
    config: RedisConfig | None,
    /,
    *,
    near: float = 0.9,
    nearer: float = 0.95,
    machine: float = 0.6,
) -> Iterator[Finding]:
    """It is full or has no limit, and refuses what would be written.

    Why: each write gets an error (OOM command not allowed): no job is queued, no session kept.
    How measured: growth of the errors OOM (from version 6.2 on) in the window: critical. Without
    any, memory at ``near`` of maxmemory is a risk, high from ``nearer``, where the policy is
    noeviction; as peers alert (awesome-prometheus-alerts: 90 %). Without maxmemory it is a risk
    from ``machine`` of the machine's memory on: a snapshot may need as much again.
    Fix: more memory where jobs live; eviction where it is a cache, whose keys can be had again.
    When to ignore: a store whose size is fixed and known.
    References: Redis, Key eviction; INFO, errorstat_OOM.
    """
    now, refused = health.last, health.delta(lambda h: h.refused("OOM")) or 0.0
    if not now.memory.limit:
        if now.memory.machine and now.memory.resident >= machine * now.memory.machine:
            yield _no_limit(now, config, machine)
        return
    full = now.memory.policy == "noeviction" and now.memory.share >= near
    if not refused and not full:
        return
    calls = health.delta(lambda h: h.commands_run) or 0.0
    what = (
        f"refused {refused:,.0f} writes in {health.seconds:.0f} s for want of memory"
        if refused
        else f"is {now.memory.share:.0%} full and evicts nothing: soon it refuses writes"
    )
    worse = Severity.HIGH if now.memory.share >= nearer else Severity.MEDIUM
    yield Finding(
        subject="maxmemory",
        summary=f"{now.product} {what} ({size(now.memory.used)} of {size(now.memory.limit)})",
        severity=Severity.CRITICAL if refused else worse,
        evidence=(
            Evidence("writes refused (OOM)", refused, "in the window", 1.0, INFO),
            Evidence("memory used", now.memory.share, "of maxmemory", near, INFO),
            Evidence("maxmemory-policy", now.memory.policy, source=INFO),
        ),
        fixes=tuple(_fixes(now, queues, config)),
        explains={"redis.memory": 1.0},
        impact=refused / max(calls, refused) if refused else 0.0,
        kind=Kind.LIVE if refused else Kind.RISK,
    )


def _no_limit(now: RedisHealth, config: RedisConfig | None, machine: float) -> Finding:
    room = f"{int(machine * now.memory.machine) >> 20}mb"
    return Finding(
        subject="maxmemory",
        summary=f"{now.product} has no maxmemory and takes {size(now.memory.resident)} of the "
        f"machine's {size(now.memory.machine)}: the kernel may end it",
        severity=Severity.MEDIUM,
        evidence=(
            Evidence("of the machine's memory", now.memory.resident / now.memory.machine, "share",
                     machine, INFO),
            Evidence("maxmemory", 0.0, "(no limit)", source=INFO),
        ),
        fixes=(
            setting(
                f"Give it a limit: {room}", "maxmemory", room, config,
                risk="at the limit writes are refused, or with an eviction policy keys go",
                verify="redis-cli INFO memory",
                undo="redis-cli CONFIG SET maxmemory 0",
            ),
        ),
        kind=Kind.RISK,
    )  # fmt: skip


def _fixes(now: RedisHealth, queues: Queues | None, config: RedisConfig | None) -> Iterator[Fix]:
    if not queues_of(queues) and sum(d.expires for d in now.databases) >= 0.5 * now.keys:
        yield setting(
            "It looks like a cache: let it throw out what was used longest ago",
            "maxmemory-policy", "allkeys-lru", config,
            risk="any key may go: not where jobs, locks or sessions live that nothing can restore",
            verify="scaledoctor scan again: no write is refused",
            undo="redis-cli CONFIG SET maxmemory-policy noeviction",
        )  # fmt: skip
        return
    roomy = f"{max(2 * now.memory.limit >> 20, 1)}mb"
    yield setting(
        f"Give it room: {roomy}, if the machine has it",
        "maxmemory", roomy, config,
        before=("redis-cli --bigkeys -i 0.01  # what takes the room; it reads, slowly",),
        risk="the machine needs that memory, and as much again while a snapshot is written",
        verify="scaledoctor scan again: redis.memory below 80 %",
        undo=f"redis-cli CONFIG SET maxmemory {now.memory.limit}",
    )  # fmt: skip
