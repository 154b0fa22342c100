"""Writing to the disk: what stops everybody meanwhile, and what fails."""

from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Kind, Severity, Step, Window, check
from scaledoctor.sources.queues import Queues
from scaledoctor.sources.redis.config import RedisConfig
from scaledoctor.sources.redis.health import RedisHealth
from scaledoctor.sources.redis.slow import RedisSlow
from scaledoctor_checks.postgres._words import duration
from scaledoctor_checks.redis._facts import queues_of
from scaledoctor_checks.redis._words import INFO, setting, size

SETTINGS = "CONFIG GET"


@check("redis.persistence", step=Step.TIGHTEN)
def persistence(
    health: Window[RedisHealth],
    config: RedisConfig | None,
    queues: Queues | None,
    slow: RedisSlow | None = None,
    /,
    *,
    fork: float = 0.5,
    delayed: int = 1,
) -> Iterator[Finding]:
    """Writing to the disk fails, or stops everybody while it goes on.

    Why: after a failed snapshot every write is refused (MISCONF); a fork copies the page table of
    all its memory while nobody is served; an append that the disk delays holds the main thread.
    How measured: rdb_last_bgsave_status and aof_last_write_status; refused writes (MISCONF) in
    the window are critical, else the failure is a risk, high where writes will be refused. A fork
    of ``fork`` seconds in the window, a risk when before it; ``delayed`` appends or more that
    waited for the disk in the window. Queues without snapshot and without appends are a risk:
    a restart loses the jobs.
    Fix: room on the disk; a faster one for appends; snapshots at night or on a replica.
    When to ignore: data that may be lost, with stop-writes-on-bgsave-error no.
    References: Redis, Persistence; Latency: fork, fsync.
    """
    yield from _failed(health, config)
    yield from _fork(health, slow, fork)
    yield from _appends(health, config, slow, delayed)
    if config and queues_of(queues) and not config.saves and not config.appends:
        yield _forgets(health.last, config)


def _failed(health: Window[RedisHealth], config: RedisConfig | None) -> Iterator[Finding]:
    now = health.last
    refused = health.delta(lambda h: h.refused("MISCONF")) or 0.0
    what = [
        name for name, fine in (("snapshot", now.persistence.saved),
                                ("append to the file", now.persistence.written)) if not fine
    ]  # fmt: skip
    if not what and not refused:
        return
    stops = config is None or config.values.get("stop-writes-on-bgsave-error", "yes") == "yes"
    stops = stops or not now.persistence.written
    calls = health.delta(lambda h: h.commands_run) or 0.0
    head = f"the last {' and the last '.join(what) or 'write to the disk'} failed"
    then = (
        f", and {refused:,.0f} writes were refused (MISCONF) in {health.seconds:.0f} s"
        if refused
        else ": every write will be refused (MISCONF)"
        if stops
        else ": what changes now is lost with a restart"
    )
    yield Finding(
        subject="disk",
        summary=f"{head}{then}",
        severity=Severity.CRITICAL if refused else Severity.HIGH if stops else Severity.MEDIUM,
        confidence=Confidence.HIGH if refused or config else Confidence.MEDIUM,
        evidence=(
            Evidence("last snapshot", "ok" if now.persistence.saved else "failed", source=INFO),
            Evidence("last append", "ok" if now.persistence.written else "failed", source=INFO),
            Evidence("writes refused (MISCONF)", refused, "in the window", 1.0, INFO),
            Evidence("changes that no snapshot holds", float(now.persistence.unsaved), "changes",
                     source=INFO),
        ),
        fixes=(_room(config),),
        impact=refused / max(calls, refused) if refused else 0.0,
        kind=Kind.LIVE if refused else Kind.RISK,
    )  # fmt: skip


def _room(config: RedisConfig | None) -> Fix:
    return Fix(
        "Make room on its disk, then let it try again",
        (
            "redis-cli CONFIG GET dir  # where it writes; its log says why it failed",
            "df -h  # is that full? may its account write there?",
            "redis-cli BGSAVE",
        ),
        "shell",
        risk="BGSAVE needs memory for what changes meanwhile, and the disk's time",
        verify="redis-cli INFO persistence: rdb_last_bgsave_status:ok",
        undo="none needed",
    )


def _stalls(slow: RedisSlow | None, *names: str) -> Iterator[Evidence]:
    """The longest stalls of those kinds that the latency monitor saw, where it is on."""
    for event in slow.events or () if slow else ():
        if event.name in names:
            yield Evidence(f"longest stall, {event.name}", event.worst, "s", source="LATENCY")


def _fork(health: Window[RedisHealth], slow: RedisSlow | None, fork: float) -> Iterator[Finding]:
    now = health.last
    if now.persistence.fork < fork:
        return
    here = health.delta(lambda h: h.persistence.forks) or 0.0
    lost = min(1.0, here * now.persistence.fork / max(health.seconds, 1.0))
    when = f"{here:.0f} times in the window" if here else "each time it writes a snapshot"
    yield Finding(
        subject="fork",
        summary=f"{now.product} stops for {duration(now.persistence.fork)}, {when}: the fork "
        f"copies the page table of {size(now.memory.resident)}",
        severity=Severity.MEDIUM if here else Severity.LOW,
        evidence=(
            Evidence("last fork", now.persistence.fork, "s", fork, INFO),
            Evidence("forks in the window", here, "forks", source=INFO),
            Evidence("resident memory", size(now.memory.resident), source=INFO),
            *_stalls(slow, "fork"),
        ),
        fixes=(
            Fix(
                "Write snapshots where nobody waits: on a replica, or less often",
                ("cat /sys/kernel/mm/transparent_hugepage/enabled  # never is best for Redis",
                 "redis-cli CONFIG SET save ''  # here, once a replica writes them"),
                "shell",
                risk="without a replica that writes them a restart loses the data",
                verify="redis-cli INFO stats: latest_fork_usec",
                undo="redis-cli CONFIG SET save '3600 1 300 100 60 10000'",
            ),
        ),
        impact=lost,
        kind=Kind.LIVE if here else Kind.RISK,
    )  # fmt: skip


def _appends(
    health: Window[RedisHealth], config: RedisConfig | None, slow: RedisSlow | None, delayed: int
) -> Iterator[Finding]:
    waited = health.delta(lambda h: h.persistence.delayed) or 0.0
    if waited < delayed:
        return
    yield Finding(
        subject="appendfsync",
        summary=f"{waited:.0f} appends waited for the disk in {health.seconds:.0f} s: the main "
        "thread waits with them, up to 2 s each",
        severity=Severity.MEDIUM,
        evidence=(
            Evidence("appends that waited", waited, "in the window", float(delayed), INFO),
            Evidence("since the start", float(health.last.persistence.delayed), source=INFO),
            Evidence("appendfsync", config.values.get("appendfsync", "") if config else "not known",
                     source=SETTINGS),
            *_stalls(slow, "aof-write", "aof-write-pending-fsync", "aof-fsync-always"),
        ),
        fixes=(
            Fix(
                "Give the file a disk of its own; do not append during a rewrite",
                ("iostat -x 1 5  # who else writes there?",
                 "redis-cli CONFIG SET no-appendfsync-on-rewrite yes"),
                "shell",
                risk="a crash during a rewrite loses up to 30 s of changes",
                verify="scaledoctor scan again: aof_delayed_fsync does not grow",
                undo="redis-cli CONFIG SET no-appendfsync-on-rewrite no",
            ),
        ),
        impact=min(1.0, waited / max(health.seconds, 1.0)),
    )  # fmt: skip


def _forgets(now: RedisHealth, config: RedisConfig) -> Finding:
    return Finding(
        subject="appendonly",
        summary=f"{now.product} holds queues and writes nothing to the disk: a restart loses "
        "every job",
        severity=Severity.LOW,
        evidence=(
            Evidence("save", config.values.get("save", ""), "", "a schedule", SETTINGS),
            Evidence("appendonly", config.values.get("appendonly", ""), "", "yes", SETTINGS),
        ),
        fixes=(
            setting(
                "Append each change to a file",
                "appendonly", "yes", config,
                risk="writes to the disk each second; a first rewrite forks",
                verify="redis-cli INFO persistence: aof_enabled:1",
                undo="redis-cli CONFIG SET appendonly no",
            ),
        ),
        kind=Kind.RISK,
    )  # fmt: skip
