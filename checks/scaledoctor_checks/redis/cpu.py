"""The one thread that runs every command: who takes it, and whether it is full."""

from collections import Counter
from collections.abc import Iterator

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Kind,
    Severity,
    Step,
    Unavailable,
    Use,
    Window,
    check,
    resource,
)
from scaledoctor.sources.redis.health import RedisHealth
from scaledoctor.sources.redis.slow import RedisSlow
from scaledoctor_checks.redis._commands import LONG, Taken, main_thread, taken
from scaledoctor_checks.redis._facts import require_rates
from scaledoctor_checks.redis._words import INFO

FULL = 0.9
"""Cores of the one thread from which clients queue: at 0.9 a request waits nine services long."""

SLOW, PART = 0.005, 0.05
"""Seconds of a call that others notice (coroot alerts on 5 ms), and the share of the window from
which it is worth a line."""


@resource("redis.cpu", step=Step.SCALE_OUT)
def cpu(health: Window[RedisHealth], /, *, warn: float = 0.8, critical: float = 0.95) -> Use | None:
    """The main thread against the one core that it can use.

    How measured: growth of used_cpu_user_main_thread and used_cpu_sys_main_thread; before
    version 6.2 that of the process. Needs no access to its host.
    Thresholds: busy from ``warn`` of a core, where a request waits four services long, full from
    ``critical``.
    """
    used = main_thread(health)
    if used is None:
        return None
    return Use(used=used, limit=1.0, unit="cores", warn=warn, critical=critical)


@check("redis.blocking-command", step=Step.TIGHTEN)
def blocking_command(
    health: Window[RedisHealth],
    slow: RedisSlow | None,
    /,
    *,
    each: float = SLOW,
    share: float = PART,
    high: float = 0.3,
    keys: int = 10_000,
) -> Iterator[Finding]:
    """One kind of command stops everybody else while it runs.

    Why: commands run one after the other: whoever comes meanwhile waits for the whole of it.
    How measured: growth of INFO commandstats: a command takes ``each`` seconds a call and
    ``share`` of the window, high from ``high``. Waiting in BLPOP and the like is not counted by
    the server. KEYS below that is a risk from ``keys`` keys on, for it grows with them. Entries of
    the slow log are told beside it, by the names of the command and of who sent it.
    Fix: the same in parts; large keys cut up; scripts made short.
    When to ignore: a maintenance window.
    References: Redis, Latency; KEYS, "don't use KEYS in your regular application code".
    """
    require_rates(health)
    cores = main_thread(health)
    for one in taken(health):
        if one.each >= each and one.share >= share:
            yield _finding(health.last, one, slow, cores, (each, share, high))
        elif one.name == "keys" and health.last.keys >= keys:
            yield _keys(health.last, one, slow, keys)


def _finding(
    now: RedisHealth,
    one: Taken,
    slow: RedisSlow | None,
    cores: float | None,
    limits: tuple[float, float, float],
) -> Finding:
    each, share, high = limits
    name = one.name.upper().replace("|", " ")
    return Finding(
        subject=name,
        summary=f"{name} takes {one.each * 1000:,.0f} ms a call, {one.calls:,} times in the "
        f"window: for {one.share:.0%} of it {now.product} serves nobody else",
        severity=Severity.HIGH if one.share >= high else Severity.MEDIUM,
        evidence=(
            Evidence("share of the window", one.share, "share", share, INFO),
            Evidence("time per call", one.each * 1000, "ms", each * 1000, INFO),
            Evidence("calls in the window", float(one.calls), "calls", source=INFO),
            *_logged(one.name, slow),
        ),
        fixes=(_fix(one),),
        explains={"redis.cpu": min(1.0, one.share / cores)} if cores else {},
        impact=one.share,
    )


def _keys(now: RedisHealth, one: Taken, slow: RedisSlow | None, keys: int) -> Finding:
    return Finding(
        subject="KEYS",
        summary=f"KEYS is used, {one.calls:,} times in the window, on {now.keys:,} keys: it looks "
        "at every one, and nobody else is served meanwhile",
        severity=Severity.LOW,
        evidence=(
            Evidence("calls in the window", float(one.calls), "calls", source=INFO),
            Evidence("keys", float(now.keys), "keys", float(keys), INFO),
            Evidence("time per call", one.each * 1000, "ms", SLOW * 1000, INFO),
            *_logged("keys", slow),
        ),
        fixes=(_fix(one),),
        kind=Kind.RISK,
    )


def _logged(name: str, slow: RedisSlow | None) -> Iterator[Evidence]:
    mine = [c for c in (slow.commands or () if slow else ()) if c.name == name]
    if mine:
        yield Evidence("longest in the slow log", max(c.seconds for c in mine) * 1000,
                       f"ms, of {len(mine)} entries", source="SLOWLOG")  # fmt: skip
    senders = Counter(c.client for c in mine if c.client).most_common(3)
    if senders:
        told = ", ".join(f"{who} ({count})" for who, count in senders)
        yield Evidence("sent by", told, source="SLOWLOG")


def _fix(one: Taken) -> Fix:
    name = one.name.upper().replace("|", " ")
    return Fix(
        f"Instead of {name}: {LONG.get(one.name, 'the same in parts, or on a replica')}",
        (
            "redis-cli SLOWLOG GET 10  # its entries name the key and the client",
            f"# instead of {name}: {LONG.get(one.name, 'the same in parts, or on a replica')}",
        ),
        "shell",
        risk="the application changes: what it reads in parts may change between them",
        verify=f"scaledoctor scan again: {name} below {PART:.0%} of the window",
        undo="the old call",
    )


@check("redis.cpu-bound", step=Step.SCALE_OUT)
def cpu_bound(
    health: Window[RedisHealth], /, *, full: float = FULL, commands: float = 0.5
) -> Iterator[Finding]:
    """The main thread uses its whole core: every command waits for it.

    Why: commands run on one thread; more cores, or a larger machine, change nothing.
    How measured: the main thread takes ``full`` of a core over the window and no single slow
    command is to blame (redis.blocking-command). Where commands take less than ``commands`` of
    that time, the rest goes into reading and writing to sockets, which io-threads share out.
    Fix: fewer and larger requests (pipelines, MGET), a cache in the application; then replicas
    for reads, or a cluster; io-threads only for the sockets' part.
    When to ignore: a load test.
    References: Redis, Benchmark; redis.conf, THREADED I/O; "The USE Method", Brendan Gregg.
    """
    require_rates(health)
    cores = main_thread(health)
    if cores is None:
        raise Unavailable("INFO does not tell the CPU time of this server")
    if cores < full:
        return
    used = taken(health)
    if any(one.each >= SLOW and one.share >= PART for one in used):
        return
    inside = min(1.0, sum(one.seconds for one in used) / (cores * health.seconds))
    calls = sum(one.calls for one in used) / health.seconds
    first = ", ".join(f"{one.name.upper()} {one.share:.0%}" for one in used[:3])
    yield Finding(
        subject="main thread",
        summary=f"{health.last.product}'s one thread uses {cores:.2f} of the one core that it can "
        f"have, for {calls:,.0f} commands/s",
        severity=Severity.HIGH,
        confidence=Confidence.HIGH,
        evidence=(
            Evidence("cores of the main thread", cores, "cores", full, INFO),
            Evidence("of that in commands, not in sockets", inside, "share", commands, INFO),
            Evidence("commands with most of it", first, source=INFO),
        ),
        fixes=tuple(_ways(health.last, inside < commands)),
        explains={"redis.cpu": 1.0},
        impact=0.5,  # what its clients wait is not measured
    )


def _ways(now: RedisHealth, sockets: bool) -> Iterator[Fix]:
    verify = "scaledoctor scan again: redis.cpu below 80 %"
    yield Fix(
        "Send fewer, larger requests; then spread the keys",
        (
            "# one round trip for many commands: a pipeline, MGET, HMGET",
            "# hot keys for a second in the application's own memory",
            "# then reads to a replica, or the keys over several servers (a cluster)",
        ),
        "text",
        risk="answers of a replica or of the application's memory are a little old",
        verify=verify,
        undo="the old calls",
    )
    if sockets and not now.io_threads:
        yield Fix(
            "Share out the work on sockets: most of its time goes there",
            ("io-threads 4", "# restart; leave a core for the main thread"),
            "text",
            risk="a restart; does nothing for slow commands",
            verify=verify,
            undo="io-threads 1",
        )
