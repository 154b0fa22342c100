"""Servers that belong to clients which ask nothing of them: open transactions, session mode."""

from typing import Any

import pytest

from scaledoctor.sdk import Confidence, Finding, Window
from scaledoctor.sources.pgbouncer import PoolerPools
from scaledoctor_checks.pooling.held import held_in_transaction, session_pooling
from scaledoctor_checks.pooling.too_small import pool_too_small
from tests.checks.pg_facts import SERVER, active, activity, idle, only, open_idle, settings, waiting
from tests.checks.pool_facts import (
    KEY,
    ask,
    backends,
    clients,
    config,
    databases,
    group,
    pool,
    stats,
    steady,
)

SLEEPING: dict[str, Any] = {"wait_type": "Timeout", "wait_event": "PgSleep"}
FULL = steady(pool(active=5, waiting=15, maxwait=1.2))
FIVE: dict[str, Any] = {
    "stats": stats(25), "config": config(), "databases": databases(5),
    "servers": backends(1, 2, 3, 4, 5), "settings": settings(100), "server": SERVER,
}  # fmt: skip


def held(window: Window[PoolerPools], **facts: Any) -> list[Finding]:
    """Servers held in transactions."""
    return ask(held_in_transaction, window, **facts)


def parked(window: Window[PoolerPools], **facts: Any) -> list[Finding]:
    """Servers of idle clients in session mode."""
    return ask(session_pooling, window, **facts)


def small(window: Window[PoolerPools], **facts: Any) -> list[Finding]:
    """The size: what it must not be then."""
    return ask(pool_too_small, window, **facts)


IDLERS = Window.of(*[activity(*(open_idle(p, "web", age=0.4) for p in (1, 2, 3)),
                              active(4), active(5))] * 4)  # fmt: skip


def test_servers_held_in_open_transactions_are_named_with_their_application() -> None:
    """3 of 5 idle in a transaction for longer than a round trip; the size is not the matter."""
    facts = {**FIVE, "activity": IDLERS}
    found = only(held(FULL, **facts))
    assert found.subject == "shop/web"
    assert found.explains == {KEY: pytest.approx(0.6)}
    assert found.summary.startswith("web sits idle in open transactions on 3.0 of the 5.0")
    assert "idle_transaction_timeout = 30" in found.fixes[1].commands
    assert not small(FULL, **facts)


@pytest.mark.parametrize(("age", "held_ones", "fires"), [(0.1, 3, True), (0.09, 3, False),
                                                         (0.4, 2, False)])  # fmt: skip
def test_a_round_trip_between_two_statements_is_no_idle_transaction(
    age: float, held_ones: int, fires: bool
) -> None:
    """A tenth of a second, and half of the busy servers."""
    some = [open_idle(p, "web", age=age) for p in range(1, held_ones + 1)]
    rest = [active(p) for p in range(held_ones + 1, 6)]
    window = Window.of(*[activity(*some, *rest)] * 4)
    assert bool(held(FULL, **{**FIVE, "activity": window})) is fires


def test_an_idle_transaction_that_blocks_others_is_another_checks_finding() -> None:
    """postgres.idle-in-transaction names it, with what it blocks."""
    window = Window.of(
        *[activity(*(open_idle(p, "web", age=5) for p in (1, 2, 3)), waiting(4, 1), active(5))] * 4
    )
    assert not held(FULL, **{**FIVE, "activity": window})


def test_without_postgres_show_clients_tells_who_holds_servers() -> None:
    """A server and no running query, at both edges; in session mode that proves nothing."""
    seen = {"stats": stats(25), "databases": databases(5), "config": config()}
    holders = clients(group(holding=3, running=2), group("api", waiting=15))
    found = only(held(FULL, **seen, clients=holders))
    assert found.confidence is Confidence.MEDIUM
    assert found.summary.startswith("web sits idle")
    assert not small(FULL, **seen, clients=holders)
    few = clients(group(holding=2, running=3))
    assert not held(FULL, **seen, clients=few)
    session = steady(pool(active=5, waiting=15, mode="session"))
    assert not held(session, **seen, clients=holders)


SESSION = steady(pool(active=5, waiting=15, mode="session"))


@pytest.mark.parametrize(("working", "fires"), [(2, True), (3, False)])
def test_session_mode_is_named_when_half_of_its_servers_belong_to_idle_clients(
    working: int, fires: bool
) -> None:
    """5 linked servers, of which 3 (2) are between transactions in PostgreSQL."""
    mixed = [active(p, **SLEEPING) for p in range(1, working + 1)]
    mixed += [idle(p) for p in range(working + 1, 6)]
    facts = {**FIVE, "activity": Window.of(*[activity(*mixed)] * 4)}
    found = parked(SESSION, **facts)
    assert bool(found) is fires
    assert not parked(FULL, **facts), "the same in transaction mode"
    assert bool(small(SESSION, **facts)) is not fires
    if fires:
        assert only(found).explains == {KEY: pytest.approx(0.6)}
        assert "pool_mode = transaction" in only(found).fixes[0].commands
        assert any("prepare_threshold" in line for line in found[0].fixes[0].commands)


def test_session_mode_of_one_database_is_changed_in_its_line() -> None:
    """The database says session, the rest does not; its size stays."""
    linked = clients(group(holding=5))
    mine = databases(5, mode="session")
    found = only(parked(SESSION, stats=stats(25), databases=mine, config=config((1, 25, 0)),
                        clients=linked))  # fmt: skip
    assert found.fixes[0].commands[-2] == (
        "shop = host=10.0.0.1 port=5432 dbname=shop pool_mode=transaction pool_size=5"
    )
    assert found.confidence is Confidence.MEDIUM
