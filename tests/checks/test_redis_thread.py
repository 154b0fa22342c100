"""Redis's one thread, its disk, its keys and its replicas."""

from dataclasses import replace

import pytest

from scaledoctor.model import Finding, Kind, Severity, State
from scaledoctor.sdk import Unavailable, Window
from scaledoctor.sources.queues import Queue, Queues
from scaledoctor.sources.redis.config import RedisConfig
from scaledoctor.sources.redis.health import RedisDatabase, RedisReplica
from scaledoctor.sources.redis.slow import LatencyEvent, RedisSlow, SlowCommand
from scaledoctor_checks.redis.blind import health_unseen
from scaledoctor_checks.redis.cpu import blocking_command, cpu, cpu_bound
from scaledoctor_checks.redis.fragmentation import fragmentation
from scaledoctor_checks.redis.keys import big_keys, no_ttl
from scaledoctor_checks.redis.persistence import persistence
from scaledoctor_checks.redis.replication import replication
from tests.checks import pg_facts as pg
from tests.checks.redis_facts import (
    CONFIG,
    HEALTH,
    JOBS,
    MB,
    command,
    group,
    health,
    keys,
    only,
    over,
)


def persist(window: Window, **more: object) -> list[Finding]:  # type: ignore[type-arg]  # of RedisHealth, as all here
    """Run the check without queues."""
    return list(persistence(window, CONFIG, None, **more))  # type: ignore[arg-type]  # thresholds


@pytest.mark.parametrize(
    ("calls", "seconds", "severity"),
    [
        (100, 0.5, Severity.MEDIUM),  # 5 ms a call, 5 % of ten seconds
        (101, 0.5, None),  # a little less than 5 ms each
        (99, 0.495, None),  # a little less than 5 %
        (10, 3.0, Severity.HIGH),
        (1, 0.4, None),  # once, for a short moment
    ],
)
def test_a_command_that_stops_the_others(
    calls: int, seconds: float, severity: Severity | None
) -> None:
    """By its time per call and its share of the window."""
    window = over(HEALTH, commands=(command("hgetall", calls, seconds),), main_thread=4.0)
    found = list(blocking_command(window, None))
    assert [f.severity for f in found] == ([severity] if severity else [])
    for finding in found:
        pg.complete(finding)
        assert finding.subject == "HGETALL"
        assert finding.explains == {"redis.cpu": pytest.approx(seconds / 4.0)}
        assert finding.impact == pytest.approx(seconds / 10)


def test_quick_commands_and_short_scripts_are_no_matter() -> None:
    """A million GETs, a script of 0.2 ms: whatever they take in all."""
    window = over(
        HEALTH, commands=(command("get", 1_000_000, 4.0), command("evalsha", 10_000, 2.0))
    )
    assert not list(blocking_command(window, None))


def test_keys_is_a_risk_on_many_keys() -> None:
    """Cheap today: it grows with the keys. The slow log is told by name and number alone."""
    used = (command("keys", 3, 0.003),)
    many = health(databases=(RedisDatabase(0, 10_000, 0),))
    log = RedisSlow(
        (SlowCommand("keys", 1, 0.03, 60.0, "report"), SlowCommand("get", 1, 0.02, 1.0, "web")),
        None,
    )
    risk = only(blocking_command(over(many, commands=used), log))
    pg.complete(risk)
    assert (risk.kind, risk.severity) == (Kind.RISK, Severity.LOW)
    assert [e.value for e in risk.evidence if e.fact == "sent by"] == ["report (1)"]
    old = RedisSlow((SlowCommand("keys", 1, 0.03, 60.0),), None)
    unnamed = only(blocking_command(over(many, commands=used), old))
    assert [e.fact for e in unnamed.evidence if e.source == "SLOWLOG"] == [
        "longest in the slow log"
    ]
    few = health(databases=(RedisDatabase(0, 9_999, 0),))
    assert not list(blocking_command(over(few, commands=used), log))


@pytest.mark.parametrize(("cores", "fires"), [(9.0, True), (8.9, False)])
def test_the_thread_is_full_of_quick_commands(cores: float, fires: bool) -> None:
    """From 0.9 of its core; io-threads are for sockets alone."""
    quick = over(HEALTH, main_thread=cores, commands=(command("get", 400_000, 2.0),))
    found = list(cpu_bound(quick))
    assert bool(found) is fires
    use = cpu(quick)
    assert use is not None
    assert use.state is State.BUSY
    if found:
        pg.complete(found[0])
        assert any("io-threads 4" in fix.commands for fix in found[0].fixes)


def test_a_thread_full_of_work_gets_no_threads_for_sockets() -> None:
    """And one slow command is told by its own check."""
    work = over(HEALTH, main_thread=9.5, commands=(command("zadd", 400_000, 8.0),))
    assert len(only(cpu_bound(work)).fixes) == 1
    slow = over(HEALTH, main_thread=9.5, commands=(command("keys", 100, 8.0),))
    assert not list(cpu_bound(slow))
    assert only(blocking_command(slow, None)).severity is Severity.HIGH
    use = cpu(slow)
    assert use is not None
    assert use.state is State.SATURATED
    assert cpu(over(health(main_thread=None))) is None
    with pytest.raises(Unavailable, match="CPU time"):
        list(cpu_bound(over(health(main_thread=None))))
    with pytest.raises(Unavailable, match="one reading"):
        list(blocking_command(Window.of(HEALTH), None))


def test_a_disk_that_takes_nothing() -> None:
    """Refused writes are critical; before, it is a risk by what stop-writes says."""
    failed = health(persistence={"saved": False, "unsaved": 12_000})
    live = only(persist(over(failed, errors={"MISCONF": 50}, commands_run=450)))
    pg.complete(live)
    assert (live.kind, live.severity) == (Kind.LIVE, Severity.CRITICAL)
    risk = only(persist(over(failed)))
    assert (risk.kind, risk.severity) == (Kind.RISK, Severity.HIGH)
    goes_on = RedisConfig({"stop-writes-on-bgsave-error": "no", "save": "60 1"})
    assert only(persistence(over(failed), goes_on, None)).severity is Severity.MEDIUM
    aof = over(health(persistence={"written": False, "append_only": True}))
    assert only(persistence(aof, goes_on, None)).severity is Severity.HIGH
    assert not persist(over(HEALTH))


def test_forks_and_delayed_appends() -> None:
    """Half a second without service: live in the window, a risk before it."""
    long = health(persistence={"fork": 0.5})
    here = replace(long, persistence=replace(long.persistence, forks=2))
    live = only(persist(Window.of(long, here, every=10.0)))
    pg.complete(live)
    assert (live.kind, live.severity, live.impact) == (Kind.LIVE, Severity.MEDIUM, 0.05)
    assert only(persist(over(long))).kind is Kind.RISK
    assert not persist(over(health(persistence={"fork": 0.49})))
    waited = replace(HEALTH, persistence=replace(HEALTH.persistence, delayed=1))
    seen = RedisSlow((), (LatencyEvent("aof-write", 0.2, 1.5, 60.0),))
    delayed = only(persistence(Window.of(HEALTH, waited, every=10.0), CONFIG, None, seen))
    pg.complete(delayed)
    assert delayed.subject == "appendfsync"
    assert ("LATENCY", 1.5) in [(e.source, e.value) for e in delayed.evidence]
    assert not persist(over(waited))


def test_jobs_on_no_disk() -> None:
    """A risk where jobs live, and nothing to say of a cache."""
    nothing = RedisConfig({"save": "", "appendonly": "no"})
    risk = only(persistence(over(HEALTH), nothing, JOBS))
    pg.complete(risk)
    assert (risk.kind, risk.severity) == (Kind.RISK, Severity.LOW)
    assert not list(persistence(over(HEALTH), nothing, None))
    assert not list(persistence(over(HEALTH), CONFIG, JOBS))
    assert not list(persistence(over(HEALTH), None, JOBS))


@pytest.mark.parametrize(
    ("largest", "elements", "severity"),
    [(MB - 1, 9_999, None), (MB, 0, Severity.LOW), (1, 10_000, Severity.LOW),
     (10 * MB, 0, Severity.MEDIUM)],
)  # fmt: skip
def test_big_keys(largest: int, elements: int, severity: Severity | None) -> None:
    """By bytes or elements; always a risk."""
    found = list(big_keys(keys(group("cart:*", largest=largest, elements=elements)), None))
    assert [(f.severity, f.kind) for f in found] == ([(severity, Kind.RISK)] if severity else [])
    for finding in found:
        pg.complete(finding)
        assert finding.subject == "cart:*"


def test_a_long_queue_is_no_big_key() -> None:
    """Queues are meant to be long; their names stand in those of their keys."""
    long = keys(group("rq:queue:mail", largest=20 * MB, type="list"))
    assert not list(big_keys(long, JOBS))
    assert list(big_keys(long, Queues((Queue(system="rq", name="other", ready=0),))))
    assert list(big_keys(long, Queues((Queue(system="rq", name="ma", ready=0),))))
    numbered = keys(group("rq:queue:*", largest=20 * MB, type="list"))
    second = Queues((Queue(system="rq", name="mail2@3", ready=0),))
    assert not list(big_keys(numbered, second))
    assert list(big_keys(keys(group("cart:*", largest=20 * MB, type="hash")), second))


def test_keys_that_stay_in_a_cache_that_keeps_them() -> None:
    """Half of the bytes, a tenth of the keys mortal, 80 % full, and a policy that spares them."""
    stay = keys(group(forever=50, forever_bytes=5_000))
    full = health(memory={"policy": "volatile-lru", "used": 80 * MB})
    risk = only(no_ttl(stay, full, None))
    pg.complete(risk)
    assert (risk.subject, risk.kind) == ("product:*", Kind.RISK)
    less = keys(group(forever=49, forever_bytes=4_999))
    few = keys(group(keys=99, forever=99, forever_bytes=10_000))
    store = replace(full, databases=(RedisDatabase(0, 5_000, 499),))
    empty = health(memory={"policy": "volatile-lru", "used": 79 * MB})
    lru = health(memory={"used": 80 * MB})
    assert not list(no_ttl(stay, full, JOBS))
    for sample, server in ((less, full), (few, full), (stay, store), (stay, empty), (stay, lru)):
        assert not list(no_ttl(sample, server, None))


@pytest.mark.parametrize(
    ("used", "held", "subject"),
    [
        (1, 12, None),  # an empty server holds twelve times its data
        (400, 600, "memory"),
        (400, 599, None),
        (300, 499, None),  # less than 200 MB
        (400, 319, "swap"),
        (400, 320, None),
        (190, 100, None),
    ],
)
def test_fragmentation_has_a_floor(used: int, held: int, subject: str | None) -> None:
    """A ratio of small data says nothing; less than all in memory is swap."""
    found = list(fragmentation(health(memory={"used": used * MB, "resident": held * MB})))
    assert [f.subject for f in found] == ([subject] if subject else [])
    for finding in found:
        pg.complete(finding)
        assert finding.kind is Kind.RISK


def test_replicas() -> None:
    """Cut off for ten seconds; behind the backlog or silent at both edges; copied twice."""
    cut = health(replication={"replica": True, "linked": False, "apart": 10})
    high = only(replication(over(cut)))
    pg.complete(high)
    assert high.severity is Severity.HIGH
    assert not list(replication(over(health(replication={**_cut(9)}))))
    never = {**_cut(0), "apart": None}
    assert "never had its master" in only(replication(over(health(replication=never)))).summary
    assert not list(replication(over(health(replication={**never, "syncing": True}))))
    for behind, silent, fires in ((MB, 9, False), (MB + 1, 0, True), (0, 10, True)):
        master = health(replication={"replicas": (RedisReplica("online", behind, silent),)})
        assert bool(list(replication(over(master)))) is fires
    for copies, fires in ((1, False), (2, True)):
        after = health(replication={"full": copies})
        assert bool(list(replication(Window.of(HEALTH, after, every=10.0)))) is fires


def _cut(seconds: int) -> dict[str, object]:
    return {"replica": True, "linked": False, "apart": seconds}


def test_what_is_not_seen_is_said() -> None:
    """Each right that is missing by name; with all of them nothing."""
    seen = RedisSlow((), (LatencyEvent("fork", 0.1, 0.1, 5.0),))
    assert not list(health_unseen(HEALTH, CONFIG, seen, keys()))
    blind = only(health_unseen(replace(HEALTH, cluster=True), None, RedisSlow((), None), None))
    pg.complete(blind)
    assert blind.kind is Kind.BLIND_SPOT
    for word in ("CONFIG GET", "LATENCY", "MEMORY USAGE", "cluster"):
        assert word in blind.summary
    assert "SLOWLOG" not in blind.summary
