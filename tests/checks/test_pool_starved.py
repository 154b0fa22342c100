"""Pools that wait for what another pool holds."""

from typing import Any

import pytest

from scaledoctor.sdk import State
from scaledoctor.sources.pgbouncer import PoolerDatabases
from scaledoctor_checks.pooling.pool import pool as pool_resource
from scaledoctor_checks.pooling.starved import starved
from scaledoctor_checks.pooling.too_small import pool_too_small
from tests.checks.pg_facts import only, settings
from tests.checks.pool_facts import (
    KEY,
    ask,
    config,
    database,
    databases,
    entry,
    log,
    pool,
    sessions,
    stats,
    steady,
    user,
    uses,
)

HOG = pool(active=6, waiting=6, user="reports")
CAPPED: dict[str, Any] = {
    "databases": databases(20, cap=6),
    "config": config(),
    "stats": stats(100),
}


def test_who_holds_a_shared_cap_is_named_and_limited() -> None:
    """reports has all 6 of max_db_connections, web waits with none of its 20."""
    window = steady(HOG, pool(waiting=4))
    found = only(ask(starved, window, **CAPPED))
    assert found.subject == "shop/reports"
    assert found.explains == {KEY: 1.0}
    assert found.impact == pytest.approx(4 / 16)
    assert "holds 6 of the 6 server connections of max_db_connections = 6" in found.summary
    assert found.fixes[0].commands[1:3] == ("[users]", "reports = max_user_connections=3")
    assert "usename = 'reports' AND datname = 'shop'" in found.fixes[1].commands[0]
    assert "LIMIT 3)" in found.fixes[1].commands[0]
    use = uses(pool_resource, window, **CAPPED)["shop/web"]
    assert use.state is State.SATURATED
    assert not ask(pool_too_small, window, **CAPPED), "no size of its own helps"


@pytest.mark.parametrize(
    ("window", "facts"),
    [
        (steady(HOG, pool()), CAPPED),
        (steady(HOG, pool(waiting=4)), {**CAPPED, "databases": databases(20)}),
        (steady(HOG, pool(waiting=4)), {**CAPPED, "databases": databases(20, cap=13)}),
        (steady(pool(active=6, waiting=6)), CAPPED),
    ],
    ids=["nobody waits", "no cap", "room under the cap", "alone"],
)  # fmt: skip
def test_nobody_starves_without_a_shared_limit_that_is_used_up(window: Any, facts: Any) -> None:
    """Each condition taken away."""
    assert not ask(starved, window, **facts)


def test_a_limit_of_its_own_is_nobodys_fault() -> None:
    """After the fix reports has 3 of 6 and waits at its own limit: web does not starve it."""
    window = steady(pool(active=3, waiting=9, user="reports"), pool(active=3, waiting=1))
    limited = {**CAPPED, "users": user("reports", cap=3)}
    assert not ask(starved, window, **limited)
    assert uses(pool_resource, window, **limited)["shop/reports"].limit == 3


def test_a_users_cap_is_shared_by_its_databases() -> None:
    """web may have 6 in all; the database big has 5 of them."""
    window = steady(pool(active=5, database="big"), pool(active=1, waiting=9))
    both = PoolerDatabases((database(size=20), database("big", size=20)))
    facts = {"databases": both, "stats": stats(10, big=50),
             "config": config(max_user_connections=6)}  # fmt: skip
    found = only(ask(starved, window, **facts))
    assert found.subject == "big/web"
    assert found.fixes[0].commands[2] == (
        "big = host=10.0.0.1 port=5432 dbname=big max_db_connections=3"
    )


def test_postgres_slots_are_a_shared_limit_too() -> None:
    """As counted there, or as PostgreSQL told PgBouncer, which logged it."""
    window = steady(pool(active=9, user="reports"), pool(waiting=4))
    base = {"databases": databases(20), "config": config(), "stats": stats(100)}
    full = sessions(*range(1, 10), user="reports")
    counted = only(ask(starved, window, **base, activity=full, settings=settings(10)))
    assert counted.explains == {KEY: 0.9, "postgres.connections": 0.9}
    logged = only(ask(starved, window, **base, log=log(entry("slots", "too many clients already"))))
    assert logged.subject == "shop/reports"
    assert not ask(starved, window, **base, activity=full, settings=settings(50))
    use = uses(pool_resource, window, **base, activity=full, settings=settings(10))["shop/web"]
    assert use.waits_for == {"postgres.connections": 1.0}
