"""Redis as a cache and as a store: room, evictions, jobs that may be thrown out, misses."""

import pytest

from scaledoctor.model import Confidence, Kind, Severity, State
from scaledoctor.sdk import Unavailable, Window
from scaledoctor.sources.postgres import Activity, Statements
from scaledoctor.sources.queues import Queue, Queues
from scaledoctor.sources.redis.health import RedisDatabase, RedisHealth
from scaledoctor_checks.redis.evictions import evictions
from scaledoctor_checks.redis.evicts_jobs import evicts_jobs
from scaledoctor_checks.redis.hit_ratio import low_hit_ratio
from scaledoctor_checks.redis.memory import memory, memory_full
from scaledoctor_checks.redis.misses import misses
from tests.checks import pg_facts as pg
from tests.checks.redis_facts import CONFIG, HEALTH, JOBS, MB, command, health, only, over, traffic

LOAD = "SELECT name FROM products WHERE id = $1"
CALM = over(HEALTH)


def loads(calls: int, seconds: float = 5.0) -> tuple[Window[Activity], Window[Statements]]:
    """A database in which one statement is called so often, beside as much other work."""
    return pg.still(samples=21), pg.statements(
        pg.statement("1", calls, seconds, query=LOAD),
        pg.statement("2", 50, 5.0, query="SELECT 2"),
    )


def test_a_full_cache_that_answers_is_healthy() -> None:
    """95 % of the lookups found, at the limit of its memory, throwing out the old all the time."""
    full = over(health(memory={"used": 100 * MB}), evicted=500)
    calm = traffic(9_500, 500, 500)
    assert not list(evictions(full, calm, None, CONFIG, None, None))
    assert not list(low_hit_ratio(calm, full, None, None, None))
    use = memory(full, calm, None)
    assert use is not None
    assert use.state is State.OK
    assert use.multiple is None


def test_a_ratio_of_few_lookups_says_nothing() -> None:
    """None found of 50, or of 999."""
    for count in (50, 999):
        few = traffic(0, count, count)
        with pytest.raises(Unavailable, match=f"{count} lookups in 10 s"):
            list(evictions(CALM, few, None, None, None, None))
        with pytest.raises(Unavailable, match=f"{count} lookups in 10 s"):
            list(low_hit_ratio(few, CALM, None, None, None))
        assert misses(few, None) is None
    assert not list(evictions(CALM, traffic(0, 50), None, None, None, None))


@pytest.mark.parametrize(
    ("hits", "missed", "evicted", "fires"),
    [(800, 200, 200, False), (799, 201, 201, True), (500, 500, 250, True), (500, 500, 249, False)],
)
def test_a_small_cache_at_each_edge(hits: int, missed: int, evicted: int, fires: bool) -> None:
    """Below 80 % found, and a key thrown out for each second miss."""
    assert bool(list(evictions(CALM, traffic(hits, missed, evicted), None, None, None, None))) is (
        fires
    )


def test_a_small_cache_gets_the_room_it_once_had() -> None:
    """Its peak and a quarter; surer when it did better before; its memory is then contended."""
    small = over(health(memory={"used": 10 * MB, "limit": 10 * MB, "peak": 60 * MB}))
    found = traffic(4_000, 6_000, 5_800, before=(96_000, 4_000))
    finding = only(evictions(small, found, None, CONFIG, None, None))
    pg.complete(finding)
    assert finding.subject == "maxmemory"
    assert finding.confidence is Confidence.HIGH
    assert "answers only 40% of the lookups, usually 96%" in finding.summary
    assert "redis-cli CONFIG SET maxmemory 75mb" in finding.fixes[0].commands
    assert finding.explains["redis.misses"] == pytest.approx(5_800 / 6_000)
    use = memory(small, found, None)
    assert use is not None
    assert use.state is State.SATURATED
    unsure = only(evictions(small, traffic(4_000, 6_000, 5_800), None, None, None, None))
    assert unsure.confidence is Confidence.MEDIUM
    assert any("parameter group" in line for line in unsure.fixes[0].commands)


def test_misses_are_tied_to_the_statement_that_is_called_as_often() -> None:
    """Within what sharing and two clocks allow; any other statement is no evidence."""
    found = traffic(4_000, 6_000, 6_000)
    for calls, tied in (
        (6_000, True),
        (4_500, True),
        (8_100, True),
        (4_400, False),
        (9_000, False),
    ):
        finding = only(evictions(CALM, found, None, None, *loads(calls)))
        assert (LOAD in finding.summary) is tied
        assert finding.severity is (Severity.HIGH if tied else Severity.MEDIUM)
        if tied:
            assert finding.impact == pytest.approx(0.6 * 0.5)


def test_where_jobs_live_it_is_no_cache() -> None:
    """Workers ask for keys that need not be there."""
    found = traffic(100, 9_900, 9_900)
    assert not list(evictions(CALM, found, JOBS, None, None, None))
    assert not list(low_hit_ratio(found, CALM, JOBS, None, None))
    assert misses(found, JOBS) is None


@pytest.mark.parametrize(
    ("first", "evicted", "severity", "kind"),
    [
        (health(), 5, Severity.CRITICAL, Kind.LIVE),
        (health(evicted=3), 0, Severity.HIGH, Kind.RISK),
        (health(memory={"used": 80 * MB}), 0, Severity.HIGH, Kind.RISK),
        (health(memory={"used": 79 * MB}), 0, Severity.MEDIUM, Kind.RISK),
        (health(memory={"limit": 0}), 0, Severity.LOW, Kind.RISK),
    ],
)
def test_jobs_under_eviction(
    first: RedisHealth, evicted: int, severity: Severity, kind: Kind
) -> None:
    """Critical while keys go, a risk before."""
    window = over(first, evicted=evicted)
    finding = only(evicts_jobs(window, JOBS, CONFIG))
    pg.complete(finding)
    assert (finding.severity, finding.kind) == (severity, kind)
    assert "rq mail" in finding.summary
    assert "redis-cli CONFIG SET maxmemory-policy noeviction" in finding.fixes[0].commands
    assert not list(evicts_jobs(window, None, CONFIG))
    assert not list(evicts_jobs(window, Queues(()), CONFIG))


@pytest.mark.parametrize(
    ("policy", "system", "fires"),
    [("noeviction", "rq", False), ("", "rq", False), ("volatile-lru", "rq", False),
     ("volatile-lru", "arq", True), ("volatile-ttl", "bullmq", True), ("allkeys-lfu", "rq", True)],
)  # fmt: skip
def test_policies(policy: str, system: str, fires: bool) -> None:
    """volatile-* takes jobs only from frameworks whose keys expire; unknown is not bad."""
    window = over(health(memory={"policy": policy}))
    queues = Queues((Queue(system=system, name="mail", ready=0),))
    assert bool(list(evicts_jobs(window, queues, None))) is fires


def test_a_full_store_refuses_writes() -> None:
    """Critical with refused writes; a risk near the limit; nothing below it."""
    near = {"policy": "noeviction"}
    errors = over(health(memory={**near, "used": 99 * MB}), errors={"OOM": 400}, commands_run=1600)
    finding = only(memory_full(errors, JOBS, CONFIG))
    pg.complete(finding)
    assert finding.severity is Severity.CRITICAL
    assert finding.impact == pytest.approx(0.25)
    assert "maxmemory 200mb" in finding.fixes[0].commands[1]
    for used, severity in ((90, Severity.MEDIUM), (95, Severity.HIGH)):
        risk = only(memory_full(over(health(memory={**near, "used": used * MB})), None, CONFIG))
        assert (risk.kind, risk.severity) == (Kind.RISK, severity)
        assert "maxmemory-policy allkeys-lru" in risk.fixes[0].commands[0]
    for calm in ({**near, "used": 89 * MB}, {"used": 100 * MB}, {**near, "limit": 0}):
        assert not list(memory_full(over(health(memory=calm)), None, CONFIG))


@pytest.mark.parametrize(("resident", "fires"), [(599, False), (600, True)])
def test_a_server_without_a_limit_is_a_risk_on_a_small_machine(resident: int, fires: bool) -> None:
    """From 60 % of its memory on; where the machine's memory is not told there is no saying."""
    memory = {"limit": 0, "resident": resident * MB, "machine": 1000 * MB}
    found = list(memory_full(over(health(memory=memory)), None, CONFIG))
    assert [f.kind for f in found] == ([Kind.RISK] if fires else [])
    for finding in found:
        pg.complete(finding)
    assert not list(memory_full(over(health(memory={**memory, "machine": 0})), None, CONFIG))


def test_a_store_whose_keys_stay_gets_room() -> None:
    """allkeys-lru is only for what looks like a cache."""
    full = health(memory={"policy": "noeviction", "used": 99 * MB},
                  databases=(RedisDatabase(0, 100, 49),))  # fmt: skip
    assert "maxmemory 200mb" in only(memory_full(over(full), None, CONFIG)).fixes[0].commands[1]


def test_memory_as_a_resource() -> None:
    """A store is full at its limit; without a limit there is nothing to say."""
    store = over(health(memory={"policy": "noeviction", "used": 96 * MB}))
    use = memory(store, None, None)
    assert use is not None
    assert use.state is State.SATURATED
    jobs = memory(over(health(memory={"used": 96 * MB})), None, JOBS)
    assert jobs is not None
    assert jobs.state is State.SATURATED
    assert memory(over(health(memory={"limit": 0})), None, None) is None


def test_a_poor_ratio_with_room() -> None:
    """Low by itself, medium when the database pays for it, silent at 80 %."""
    assert not list(low_hit_ratio(traffic(8_000, 2_000), CALM, None, None, None))
    low = only(low_hit_ratio(traffic(4_000, 6_000), CALM, None, None, None))
    pg.complete(low)
    assert low.severity is Severity.LOW
    assert low.explains == {}
    paid = only(low_hit_ratio(traffic(4_000, 6_000), CALM, None, *loads(6_000)))
    assert paid.severity is Severity.MEDIUM
    assert paid.explains == {"redis.misses": 1.0}
    half = only(low_hit_ratio(traffic(5_000, 5_000), CALM, None, *loads(5_000)))
    assert half.severity is Severity.LOW
    expired = only(low_hit_ratio(traffic(4_000, 6_000, 0, 3_000), CALM, None, None, None))
    assert expired.fixes[0].title == "Let the keys live longer"


def test_a_poor_ratio_after_a_flush_is_told_by_the_flush() -> None:
    """And by the evictions when it is too small."""
    emptied = over(HEALTH, commands=(command("flushall", 2, 0.1),))
    assert not list(low_hit_ratio(traffic(4_000, 6_000), emptied, None, None, None))
    assert not list(low_hit_ratio(traffic(4_000, 6_000, 6_000), CALM, None, None, None))


def test_misses_as_a_resource() -> None:
    """Busy from a half on, never saturated: what a miss costs is for others to say."""
    for found, state in ((5_001, State.OK), (5_000, State.BUSY), (0, State.BUSY)):
        use = misses(traffic(found, 10_000 - found), None)
        assert use is not None
        assert use.state is state


def test_a_restart_gives_no_rates() -> None:
    """Counters that went back say nothing."""
    back = Window.of(traffic(100, 9_900).last, traffic(0, 0).last, every=10.0)
    with pytest.raises(Unavailable, match="reset"):
        list(evictions(CALM, back, None, None, None, None))
    with pytest.raises(Unavailable, match="one reading"):
        list(low_hit_ratio(Window.of(back.last), CALM, None, None, None))
    reset = Window.of(health(evicted=9), health(evicted=0), every=10.0)
    assert only(evicts_jobs(reset, JOBS, None)).kind is Kind.RISK
