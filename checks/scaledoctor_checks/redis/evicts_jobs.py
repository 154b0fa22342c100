"""Eviction where jobs live: what is thrown out may be a job."""

from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Kind, Severity, Step, Window, check
from scaledoctor.sources.queues import Queue, Queues
from scaledoctor.sources.redis.config import RedisConfig
from scaledoctor.sources.redis.health import RedisHealth
from scaledoctor_checks.redis._facts import queues_of
from scaledoctor_checks.redis._words import INFO, setting, size

MORTAL = frozenset({"arq", "bullmq"})
"""Frameworks whose jobs or locks have a time to live, so that volatile-* throws them out too
(arq: job keys of a day; BullMQ: locks of 30 s, issues 1046 and 2215)."""


@check("redis.evicts-jobs", step=Step.OFFLOAD)
def evicts_jobs(
    health: Window[RedisHealth],
    queues: Queues | None,
    config: RedisConfig | None,
    /,
    *,
    near: float = 0.8,
) -> Iterator[Finding]:
    """A server that holds queues may throw out jobs when its memory is full.

    Why: the policy is one for the whole server: a list of jobs is as good a key as any, and a job
    that was thrown out is never done. Nothing reports it.
    How measured: queues were found, and the policy is allkeys-*, or volatile-* with a framework
    whose keys expire. Keys were thrown out in the window: critical. Otherwise a risk: high when
    it has thrown out keys before or memory is at ``near`` of its limit, medium with a limit, low
    without one, where nothing is ever thrown out.
    Fix: noeviction here, and the cache on a server of its own.
    When to ignore: the jobs may be lost.
    References: Sidekiq wiki, Using Redis; BullMQ, Going to production: maxmemory-policy.
    """
    now, mine = health.last, queues_of(queues)
    mortal = [queue for queue in mine if queue.system in MORTAL]
    at_stake = mine if now.memory.evicts_all else mortal if now.memory.evicts else []
    if not at_stake:
        return
    gone = health.delta(lambda h: h.evicted) or 0.0
    worst = Severity.HIGH if now.evicted or now.memory.share >= near else Severity.MEDIUM
    severity = worst if now.memory.limit or now.evicted else Severity.LOW
    shared = now.keys > 10 * len(mine)
    yield Finding(
        subject="maxmemory-policy",
        summary=_summary(now, at_stake, gone, health.seconds),
        severity=Severity.CRITICAL if gone else severity,
        # With other keys beside the jobs it is not told which were thrown out.
        confidence=Confidence.MEDIUM if shared else Confidence.HIGH,
        evidence=(
            Evidence("maxmemory-policy", now.memory.policy, "", "noeviction", INFO),
            Evidence("keys thrown out in the window", gone, "keys", 1.0, INFO),
            Evidence("keys thrown out since the start", float(now.evicted), "keys", source=INFO),
            Evidence("memory used", now.memory.share, "of maxmemory", near, INFO),
            Evidence("queues", ", ".join(q.label for q in at_stake[:5]), source="names of keys"),
        ),
        fixes=(_fix(now, config),),
        explains={"redis.memory": 1.0} if gone else {},
        impact=1.0 if gone else 0.0,  # a lost job is never done
        kind=Kind.LIVE if gone else Kind.RISK,
    )  # fmt: skip


def _fix(now: RedisHealth, config: RedisConfig | None) -> Fix:
    return setting(
        "Never throw out jobs; put the cache on a server of its own",
        "maxmemory-policy",
        "noeviction",
        config,
        risk="when it is full, writes are refused: then producers see it, and nothing is lost in "
        "silence",
        verify="redis-cli CONFIG GET maxmemory-policy",
        undo=f"redis-cli CONFIG SET maxmemory-policy {now.memory.policy}",
    )


def _summary(now: RedisHealth, at_stake: list[Queue], gone: float, seconds: float) -> str:
    which = at_stake[0].label + (f" and {len(at_stake) - 1} more" if at_stake[1:] else "")
    head = f"{now.product} holds the queue {which} and evicts by {now.memory.policy}"
    if gone:
        return (
            f"{head}: {gone:,.0f} keys were thrown out in {seconds:.0f} s, jobs may be among them"
        )
    if now.evicted:
        return f"{head}: {now.evicted:,} keys were thrown out since it started"
    if not now.memory.limit:
        return f"{head}; nothing is thrown out as long as it has no maxmemory"
    return (
        f"{head}: it is {now.memory.share:.0%} of {size(now.memory.limit)} full, then jobs are lost"
    )
