"""Pools without a server: unreachable, paused, disabled."""

from typing import Any

import pytest

from scaledoctor.sdk import Confidence, Kind, Severity, State, Window
from scaledoctor.sources.pgbouncer import PoolerDatabases, PoolerPools
from scaledoctor_checks.pooling.backend import backend_unreachable, paused
from scaledoctor_checks.pooling.pool import pool as pool_resource
from tests.checks.pg_facts import only
from tests.checks.pool_facts import (
    KEY,
    ask,
    config,
    database,
    databases,
    entry,
    log,
    pool,
    steady,
    uses,
)

STUCK = steady(pool(waiting=4, maxwait=0.0))
"""maxwait reads 0 while clients wait for their login."""


def test_clients_that_wait_with_no_server_at_all_wait_in_vain() -> None:
    """The log says why; without it less is sure."""
    why = log(entry("login", "server login failed: wrong password type", 4))
    found = only(ask(backend_unreachable, STUCK, config(), databases(), log=why))
    assert found.subject == "shop/web"
    assert (found.severity, found.confidence) == (Severity.CRITICAL, Confidence.HIGH)
    assert "10.0.0.1:5432 for shop/web (server login failed: wrong password type)" in found.summary
    assert found.explains == {KEY: 1.0}
    assert "4 clients wait in vain" in found.summary
    assert "rolname = 'web'" in found.fixes[0].commands[1]
    blind = only(ask(backend_unreachable, STUCK, config(), databases()))
    assert blind.confidence is Confidence.MEDIUM
    assert any("RESUME;" in fix.commands for fix in blind.fixes), "1.18 does not tell of a PAUSE"
    use = uses(pool_resource, STUCK, config=config(), databases=databases())["shop/web"]
    assert use.state is State.SATURATED
    assert use.detail == "no server connection, 4 clients waiting"


@pytest.mark.parametrize(
    ("auth", "plain"), [("trust", True), ("any", True), ("md5", False), ("scram-sha-256", False)]
)
def test_a_scram_secret_is_advised_only_where_it_lets_pgbouncer_in(auth: str, plain: bool) -> None:
    """With trust the client sends nothing that PgBouncer could pass on."""
    why = log(entry("login", "server login failed: wrong password type"))
    given = config(auth_type=auth, auth_file="/etc/pgbouncer/userlist.txt")
    (fix, _) = only(ask(backend_unreachable, STUCK, given, databases(), log=why)).fixes
    assert ('-- "web" "ITS-PASSWORD"' in fix.commands) is plain
    assert ("rolname = 'web'" in fix.commands[1]) is not plain
    assert "/etc/pgbouncer/userlist.txt" in fix.commands[0]
    assert fix.commands[-1].endswith("RELOAD;")
    asks = config(auth_type=auth, auth_user="pooler")
    (fix, _) = only(ask(backend_unreachable, STUCK, asks, databases(), log=why)).fixes
    assert "restart PgBouncer" in fix.commands[-1]


def test_a_database_that_does_not_exist_is_no_matter_of_routes() -> None:
    """One client asks for it: the sentence is singular, and the databases are listed."""
    why = log(entry("login", 'server login failed: database "shop" does not exist'))
    lonely = steady(pool(waiting=1, maxwait=0.0))
    found = only(ask(backend_unreachable, lonely, config(), databases(), log=why))
    assert found.summary.endswith("1 client waits in vain")
    assert [fix.commands[0] for fix in found.fixes] == [
        'psql "host=10.0.0.1 port=5432 dbname=postgres connect_timeout=5" -l'
    ]


def test_a_route_that_is_down_is_no_matter_of_passwords() -> None:
    """connect failed: the password is not shown as a way out."""
    why = log(entry("login", "connect failed"))
    found = only(ask(backend_unreachable, STUCK, config((1, 25, 0)), databases(), log=why))
    assert len(found.fixes) == 1
    trying = steady(pool(waiting=4, login=1))
    found = only(ask(backend_unreachable, trying, config((1, 25, 0)), databases()))
    assert "it tries to connect" in found.summary


@pytest.mark.parametrize(
    ("window", "facts"),
    [
        (steady(pool(waiting=4, idle=1)), {}),
        (steady(pool(clients=4)), {}),
        (Window.of(*(PoolerPools((p,)) for p in (pool(waiting=1), pool(), pool(active=1)))), {}),
        (Window.of(*(PoolerPools((p,)) for p in (pool(waiting=1), pool(), pool()))), {}),
        (STUCK, {"databases": databases(paused=True)}),
        (STUCK, {"databases": databases(cap=2), "more": pool(active=2, user="reports")}),
        (STUCK, {"log": log(entry("slots", "remaining connection slots are reserved"))}),
    ],
    ids=["a server", "nobody waits", "one came", "a third", "paused", "a cap", "no slots"],
)
def test_other_reasons_to_wait(window: Any, facts: dict[str, Any]) -> None:
    """A server was there, it was a moment, or another check knows better."""
    given = {"databases": databases(), **facts}
    if more := given.pop("more", None):
        window = steady(pool(waiting=4), more)
    assert not ask(backend_unreachable, window, config(), **given)


def test_half_of_the_samples_is_the_edge() -> None:
    """Two of four with waiting clients and no server."""
    window = Window.of(
        *(PoolerPools((p,)) for p in (pool(waiting=1), pool(), pool(waiting=1), pool()))
    )
    assert ask(backend_unreachable, window, config(), databases())


def test_a_paused_database_with_waiting_clients_is_live() -> None:
    """RESUME, and by name; without clients it is a risk."""
    found = only(ask(paused, STUCK, databases(paused=True)))
    assert (found.subject, found.kind, found.severity) == ("shop", Kind.LIVE, Severity.CRITICAL)
    assert found.fixes[0].commands[1] == "RESUME shop;"
    assert found.explains == {KEY: 1.0}
    quiet = only(ask(paused, steady(pool()), databases(paused=True)))
    assert quiet.kind is Kind.RISK
    use = uses(pool_resource, STUCK, config=config(), databases=databases(paused=True))["shop/web"]
    assert use.detail == "paused, 4 clients waiting"


def test_pause_without_a_name_stops_all() -> None:
    """One finding, and RESUME without a name."""
    every = PoolerDatabases((database(), database("other")), stopped=True)
    found = only(ask(paused, STUCK, every))
    assert found.subject == "all databases"
    assert found.fixes[0].commands[1] == "RESUME;"


def test_a_disabled_database_is_a_risk_that_nobody_counts() -> None:
    """New clients are refused, the old ones work."""
    found = only(ask(paused, steady(pool(clients=3)), databases(disabled=True)))
    assert (found.kind, found.severity) == (Kind.RISK, Severity.HIGH)
    assert found.fixes[0].commands[1] == "ENABLE shop;"
    assert not ask(paused, STUCK, databases())
