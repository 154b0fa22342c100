"""A cache that fails surfaces as database load: the cache is the root, where numbers tie them."""

from dataclasses import replace

from scaledoctor.diagnosis.rank import rank
from scaledoctor.model import Finding, Use
from scaledoctor.sdk import Window
from scaledoctor.sources.postgres import Activity, Statements
from scaledoctor.sources.redis.traffic import RedisTraffic
from scaledoctor_checks.postgres.cpu_bound import cpu_bound
from scaledoctor_checks.postgres.statements import statement_share
from scaledoctor_checks.redis.evictions import evictions
from scaledoctor_checks.redis.misses import misses
from tests.checks import pg_facts as pg
from tests.checks.redis_facts import CONFIG, MB, health, only, over, traffic
from tests.checks.test_pg_statements import TWO, host

LOAD = "SELECT name FROM products WHERE id = $1"
FOUND = traffic(4_000, 6_000, 6_000, before=(96_000, 4_000))


def sides(calls: int, seen: Window[RedisTraffic]) -> tuple[Finding, list[Finding], list[Use]]:
    """What the database says of a heavy statement, what the cache says, and the misses."""
    busy: Window[Activity] = pg.still(
        *(pg.active(n, query=LOAD, query_id="1") for n in range(8)), samples=21
    )
    numbers: Window[Statements] = pg.statements(
        pg.statement("1", calls, 80.0, calls * 900, calls, query=LOAD)
    )
    heavy = only(
        statement_share(
            pg.SERVER, busy, numbers, None, None, None, None, None, None, None, None, seen
        )
    )
    small = over(health(memory={"used": 10 * MB, "limit": 10 * MB}))
    cache = list(evictions(small, seen, None, CONFIG, busy, numbers))
    use = misses(seen, None)
    return heavy, cache, [use] if use else []


def ranked(heavy: Finding, cache: list[Finding], uses: list[Use]) -> list[tuple[str, list[str]]]:
    """The roots with their symptoms."""
    findings = [replace(heavy, check="postgres.statement-share", target="postgres"),
                *(replace(f, check="redis.evictions", target="redis") for f in cache)]  # fmt: skip
    named = [replace(use, resource="redis.misses", target="redis") for use in uses]
    return [(d.finding.check, [s.check for s in d.symptoms]) for d in rank(named, findings)]


def test_the_cache_is_the_root_of_the_statement_that_loads_it() -> None:
    """Called once for each miss: the statement is a symptom, and its time is the impact."""
    assert ranked(*sides(6_000, FOUND)) == [("redis.evictions", ["postgres.statement-share"])]


def test_without_equal_numbers_each_stands_alone() -> None:
    """A statement that is called twice as often as there are misses has its own cause."""
    roots = ranked(*sides(12_000, FOUND))
    assert {check for check, _ in roots} == {"redis.evictions", "postgres.statement-share"}
    assert all(symptoms == [] for _, symptoms in roots)


def test_a_healthy_cache_is_no_cause() -> None:
    """A few misses beside many calls: nothing is tied to anything."""
    heavy, cache, uses = sides(500, traffic(9_500, 500, 500))
    assert cache == []
    assert ranked(heavy, cache, uses) == [("postgres.statement-share", [])]
    assert "redis.misses" not in heavy.waits_for


def test_full_cores_are_a_symptom_too() -> None:
    """The statements are cheap, and so many only because the cache lost their answers."""
    cpu, processes = host(2.0, 8, 1.5)
    cheap = pg.statements(pg.statement("1", 6_000, 9.0, 6_000, 6_000, query=LOAD))
    calm = pg.still(samples=21)
    local = replace(pg.SERVER, local=True)
    full = only(cpu_bound(local, calm, cheap, TWO, cpu, processes, FOUND))
    assert full.waits_for == {"redis.misses": 1.0}
    alone = only(cpu_bound(local, calm, cheap, TWO, cpu, processes, None))
    assert alone.waits_for == {}
