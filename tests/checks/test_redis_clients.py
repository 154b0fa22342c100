"""Connections of a Redis: refused, blocked, opened all the time; caches emptied and stormed."""

from dataclasses import replace

import pytest

from scaledoctor.model import Finding, Kind, Severity, State
from scaledoctor.sdk import Reach, Unavailable, Window
from scaledoctor.sources.postgres import Activity
from scaledoctor.sources.redis.connected import ClientGroup, RedisClients
from scaledoctor.sources.redis.traffic import RedisTraffic
from scaledoctor_checks.redis.clients import blocked_clients, clients, connection_churn, max_clients
from scaledoctor_checks.redis.flushed import flushed
from scaledoctor_checks.redis.stampede import cache_stampede
from tests.checks import pg_facts as pg
from tests.checks.redis_facts import CONFIG, HEALTH, JOBS, command, health, only, over, traffic

REACHED = Reach(ok=True, seconds=0.01)
WEB = RedisClients((ClientGroup("web", 9_000, 8_000),), {})
LOAD = "SELECT * FROM page WHERE id = $1"


def test_connections_near_and_at_their_limit() -> None:
    """A risk at 90 %, critical when some are refused; who holds them is told."""
    near = over(health(connected=9_000))
    risk = only(max_clients(REACHED, near, WEB, CONFIG))
    pg.complete(risk)
    assert (risk.kind, risk.severity) == (Kind.RISK, Severity.MEDIUM)
    assert any(e.fact == "held by web" for e in risk.evidence)
    assert not list(max_clients(REACHED, over(health(connected=8_999)), WEB, CONFIG))
    refused = only(
        max_clients(
            REACHED, over(health(connected=10_000), rejected=30, connections=70), None, None
        )
    )
    pg.complete(refused)
    assert refused.severity is Severity.CRITICAL
    assert refused.impact == pytest.approx(0.3)
    use = clients(over(health(connected=9_500), rejected=1))
    assert use is not None
    assert use.state is State.SATURATED
    assert clients(over(health(clients_limit=None))) is None


def test_a_scan_that_is_refused_is_the_finding() -> None:
    """Any other refusal says nothing of connections."""
    full = Reach(False, 0.1, "slots", "", "it has reached its maximum number of clients")
    assert only(max_clients(full, None, None, None)).severity is Severity.CRITICAL
    assert not list(max_clients(Reach(False, 0.1, "auth"), None, None, None))


def test_workers_that_wait_for_jobs_are_healthy() -> None:
    """BLPOP and XREAD are no blocked clients; three in WAIT at both edges are."""
    window = over(HEALTH)
    idle = RedisClients((), {"blpop": 500, "brpop": 20, "xreadgroup": 30, "wait": 2})
    assert not list(blocked_clients(Window.of(idle, idle), window))
    held = RedisClients((), {"wait": 2, "waitaof": 1})
    assert not list(blocked_clients(Window.of(idle, held), window))
    finding = only(blocked_clients(Window.of(held, held), window))
    pg.complete(finding)
    assert finding.impact == pytest.approx(3 / 20)


@pytest.mark.parametrize(
    ("opened", "commands", "severity"),
    [(99, 900, None), (100, 1_000, Severity.LOW), (100, 1_001, None),
     (1_000, 3_000, Severity.MEDIUM)],
)  # fmt: skip
def test_connections_for_a_few_commands(
    opened: int, commands: int, severity: Severity | None
) -> None:
    """Ten each second and a tenth of the commands; medium from a hundred each second."""
    window = over(HEALTH, connections=opened, commands_run=commands)
    found = list(connection_churn(window, WEB))
    assert [f.severity for f in found] == ([severity] if severity else [])
    for finding in found:
        pg.complete(finding)


def test_a_cache_that_is_emptied_again_and_again() -> None:
    """Twice in the window, or every hour; once is a risk, once in its life nothing."""
    calm = traffic(9_000, 1_000)
    flush = (command("flushall", 2, 0.01),)
    live = only(flushed(over(HEALTH, commands=flush), traffic(4_000, 6_000), None, None))
    pg.complete(live)
    assert (live.kind, live.severity) == (Kind.LIVE, Severity.MEDIUM)
    assert live.explains == {"redis.misses": 1.0}
    once = only(flushed(over(HEALTH, commands=(command("flushdb", 1, 0.01),)), calm, None, None))
    assert (once.kind, once.subject) == (Kind.RISK, "FLUSHDB")
    for ever, fires in ((23, False), (24, True)):
        habit = over(health(commands=(command("flushall", ever, 0.1),)))  # in a day
        assert bool(list(flushed(habit, calm, None, None))) is fires
    young = over(health(uptime=60, commands=(command("flushall", 9, 0.1),)))
    assert not list(flushed(young, calm, None, None))


def test_an_emptied_cache_is_tied_to_the_database() -> None:
    """High when one statement is called as often as there are misses."""
    numbers = pg.statements(pg.statement("1", 6_000, 8.0, query=LOAD))
    window = over(HEALTH, commands=(command("flushall", 3, 0.01),))
    tied = only(flushed(window, traffic(4_000, 6_000), pg.still(samples=21), numbers))
    assert tied.severity is Severity.HIGH
    assert LOAD in tied.summary


def burst(misses: int, *, usual: int = 2, at: int = 10) -> Window[RedisTraffic]:
    """A few misses between two readings, and once so many."""
    total, samples = 0, list[RedisTraffic]()
    for i in range(21):
        total += misses if i == at else usual if i else 0
        samples.append(RedisTraffic(100 * i, total, 0, 0))
    return Window.of(*samples)


def crowd(sessions: int, *, otherwise: int = 0, at: int = 10) -> Window[Activity]:
    """So many sessions with one statement at that reading, and otherwise."""
    return Window.of(
        *(
            pg.activity(
                *(pg.active(n, query=LOAD) for n in range(sessions if i == at else otherwise))
            )
            for i in range(21)
        )
    )


def storm(misses: Window[RedisTraffic], sessions: Window[Activity] | None) -> list[Finding]:
    """Run the check on a cache."""
    return list(cache_stampede(misses, None, sessions))


def test_a_stampede_is_seen_from_both_sides() -> None:
    """Ten misses at once, five times the usual, and four sessions with one statement."""
    finding = only(storm(burst(50), crowd(4)))
    pg.complete(finding)
    assert finding.subject == LOAD
    assert finding.explains["redis.misses"] == pytest.approx(50 / 88)
    assert storm(burst(10, usual=0), crowd(4))
    assert not storm(burst(9, usual=0), crowd(4))
    assert not storm(burst(50, usual=11), crowd(4))
    assert not storm(burst(50), crowd(3))
    assert not storm(burst(50), crowd(8, otherwise=2))
    assert not storm(burst(50), crowd(4, at=16))
    assert not list(cache_stampede(burst(50), JOBS, crowd(4)))


def test_one_side_alone_is_no_stampede() -> None:
    """Without a database it is not seen, and not ruled out either."""
    with pytest.raises(Unavailable, match="side is not seen"):
        storm(burst(500), None)
    hidden = Window.of(*(replace(sample, hidden=3) for sample in crowd(9)))
    with pytest.raises(Unavailable, match="not seen"):
        storm(burst(500), hidden)
    assert not storm(burst(5), None)
    with pytest.raises(Unavailable, match="too few readings"):
        storm(Window(burst(500).samples[:4]), crowd(9))
