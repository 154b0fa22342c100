"""From a balancer's queue to its cause further down: the whole diagnosis on plain facts."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from scaledoctor.diagnosis import diagnose
from scaledoctor.registry import Registry, load
from scaledoctor.report import Report
from scaledoctor.sdk import Finding, Reach, Severity, Step, Window, check
from scaledoctor.snapshot import SCHEMA_VERSION, Record, Snapshot
from scaledoctor.sources.pgbouncer import PoolerPools
from scaledoctor.sources.pgbouncer.pools import pools_of
from tests.checks.haproxy_facts import Seen, Server, seen, server
from tests.checks.pg_facts import SERVER, still, waiting
from tests.checks.pg_facts import open_idle as holder

REGISTRY = load()


def record(kind: str, **facts: Any) -> Record:
    """One target; a fact that is no window was read once."""
    samples = {
        name: fact.samples if isinstance(fact, Window) else ((0.0, fact),)
        for name, fact in facts.items()
    }
    reach = Reach(ok=True, seconds=0.01)
    return Record(kind, kind, "here", True, reach, {"Reach": ((0.0, reach),), **samples})


def report(balancer: Seen, *others: Record, registry: Registry = REGISTRY) -> Report:
    stats, now = balancer
    records = (record("haproxy", HaproxyStats=stats, HaproxyNow=now), *others)
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    return diagnose(Snapshot(SCHEMA_VERSION, "0", begun, 10.0, 10.0, records), registry)


def crowd(in_hand: float = 5.0) -> list[Server]:
    """Two servers of five slots each, full: half a second for each request."""
    return [server(f"s{i}", 100, in_hand, limit=5, placed=0) for i in (1, 2)]


def database(blocked: int) -> Record:
    """So many sessions wait for the transaction that an idle session keeps open."""
    stuck = [waiting(i, 1) for i in range(2, 2 + blocked)]
    return record("postgres", Server=SERVER, Activity=still(holder(1), *stuck, samples=21))


@pytest.mark.parametrize(("blocked", "held_up"), [(5, True), (4, False)])
def test_a_queue_follows_from_the_lock_that_half_of_the_requests_wait_for(
    blocked: int, held_up: bool
) -> None:
    """10 requests in hand; from 5 sessions that wait for a lock on, the lock is the cause."""
    found = report(seen(*crowd(), waiting=10.0), database(blocked))
    queues = [d for d in found.diagnoses if d.finding.check == "haproxy.queueing"]
    first = found.diagnoses[0]
    if held_up:
        assert first.finding.check.startswith("postgres.")
        assert "haproxy.queueing" in {s.check for s in first.symptoms}
        keys = [hop.key for hop in first.chain if hop.node == "resource"]
        assert keys == ["haproxy.backend:app", "postgres.locks"]
    assert bool(queues) is not held_up


def test_a_check_that_asks_a_stuck_database_follows_from_the_lock() -> None:
    """All servers were taken out together while the database stood still."""
    down = [
        server(n, 0, 0.0, status="DOWN", check="L7STS", code=503, since=4) for n in ("s1", "s2")
    ]
    out = seen(*down, requests=90, errors=90, failed_connects=90)
    found = report(out, database(8))
    first = found.diagnoses[0]
    assert first.finding.check.startswith("postgres.")
    checks = {s.check for s in first.symptoms}
    assert checks == {"haproxy.shared-health-check", "haproxy.servers-down", "haproxy.own-errors"}
    alone = report(out)
    assert alone.diagnoses[0].finding.check == "haproxy.shared-health-check"


@check("test.small-pool", step=Step.POOL)
def small_pool(window: Window[PoolerPools], /) -> Iterator[Finding]:
    """Whatever makes clients wait for a pool."""
    pool = window.last.pools[0]
    if pool.waiting:
        yield Finding(
            subject=pool.key,
            summary="too small",
            severity=Severity.HIGH,
            explains={f"pgbouncer.pool:{pool.key}": 1.0},
        )


def test_a_queue_follows_from_a_pool_that_is_too_small() -> None:
    """10 requests in hand, 6 of them wait in PgBouncer."""
    row = {"database": "shop", "user": "web", "cl_active": 4, "cl_waiting": 6, "sv_active": 4}
    pooler = record("pgbouncer", PoolerPools=Window.of(*[pools_of([row])] * 21))
    with_pool = replace(REGISTRY, checks={**REGISTRY.checks, small_pool.id: small_pool})
    first = report(seen(*crowd(), waiting=10.0), pooler, registry=with_pool).diagnoses[0]
    assert first.finding.check == "test.small-pool"
    assert {s.check for s in first.symptoms} == {"haproxy.queueing"}
    keys = [hop.key for hop in first.chain if hop.node == "resource"]
    assert keys == ["haproxy.backend:app", "pgbouncer.pool:shop/web"]


@pytest.mark.parametrize(
    ("wait", "took", "follows"),
    [(10.0, 10.0, True), (9.9, 10.0, False), (12.0, 0.5, False)],
    ids=["the whole window", "served in between", "a slow server of its own"],
)
def test_an_instance_whose_turn_never_comes_follows_from_the_pool(
    wait: float, took: float, follows: bool
) -> None:
    """s3 has one connection to PgBouncer: one client waits there for the requests of nine."""
    row = {
        "database": "shop", "user": "web", "cl_waiting": 1, "sv_active": 2,
        "maxwait": int(wait), "maxwait_us": round(wait % 1 * 1e6),
    }  # fmt: skip
    window = Window(tuple((i / 2, pools_of([row])) for i in range(21)))
    with_pool = replace(REGISTRY, checks={**REGISTRY.checks, small_pool.id: small_pool})
    servers = [server("s1", 300, 0.5), server("s2", 300, 0.5), server("s3", int(90 / took), 9.0)]
    pooler = record("pgbouncer", PoolerPools=window)
    found = report(seen(*servers), pooler, registry=with_pool)
    roots = [d.finding.check for d in found.diagnoses]
    assert ("haproxy.slow-server" not in roots) is follows
    if follows:
        assert roots == ["test.small-pool"]


@pytest.mark.parametrize(("errors", "follows"), [((50, 50), True), ((0, 90), False)])
def test_servers_that_fail_alike_follow_from_what_their_requests_wait_for(
    errors: tuple[int, int], follows: bool
) -> None:
    """10 requests in hand, 8 of them blocked; one server that fails alone is a cause of its own."""
    servers = [server(f"s{i}", 100, 5.0, errors=n) for i, n in enumerate(errors)]
    found = report(seen(*servers), database(8))
    roots = {d.finding.check for d in found.diagnoses}
    assert any(check.startswith("postgres.") for check in roots)
    assert ("haproxy.server-errors" not in roots) is follows
