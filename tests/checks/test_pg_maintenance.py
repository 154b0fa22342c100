"""Maintenance that stops others, and sessions that sleep on purpose, on plain facts."""

import pytest

from scaledoctor.sdk import Severity, Window
from scaledoctor.sources.postgres import Session
from scaledoctor_checks.postgres._heavy import heavy
from scaledoctor_checks.postgres._maintenance import maintenance
from scaledoctor_checks.postgres.blocking_transaction import blocking_transaction
from scaledoctor_checks.postgres.ddl_queue import ddl_queue
from scaledoctor_checks.postgres.statements import statement_share
from tests.checks.pg_facts import (
    SERVER,
    active,
    activity,
    lock,
    lock_window,
    only,
    open_idle,
    settings,
    statement,
    statements,
    still,
    waiting,
)


@pytest.mark.parametrize(
    ("query", "command"),
    [
        ("CREATE INDEX i ON stock (n)", "CREATE INDEX CONCURRENTLY i ON stock (n);"),
        ("create unique index on stock (n);", "create unique index CONCURRENTLY on stock (n);"),
        ("REINDEX TABLE stock", "REINDEX TABLE CONCURRENTLY stock;"),
        ("REINDEX (VERBOSE) INDEX i", "REINDEX (VERBOSE) INDEX CONCURRENTLY i;"),
        ("REFRESH MATERIALIZED VIEW v", "REFRESH MATERIALIZED VIEW CONCURRENTLY v;"),
        ("VACUUM FULL stock", "pg_repack --dbname=shop --table=stock --no-order"),
        ("vacuum (full, analyze) public.stock",
         "pg_repack --dbname=shop --table=public.stock --no-order"),
        ("VACUUM FULL VERBOSE ANALYZE stock", "pg_repack --dbname=shop --table=stock --no-order"),
        ("CLUSTER stock USING i", "pg_repack --dbname=shop --table=stock --no-order"),
        ("CLUSTER", "pg_repack --dbname=shop --no-order"),
    ],
)  # fmt: skip
def test_maintenance_has_a_form_that_lets_others_go_on(query: str, command: str) -> None:
    """The same statement, or the tool that does the same."""
    found = maintenance(query, "shop", 15)
    assert found is not None
    assert found.commands[-1] == command


@pytest.mark.parametrize(
    "query",
    ["CREATE INDEX CONCURRENTLY i ON stock (n)", "REINDEX INDEX CONCURRENTLY i", "VACUUM stock",
     "VACUUM (ANALYZE) stock", "REINDEX SYSTEM shop", "UPDATE cluster SET n = $1", "ANALYZE"],
)  # fmt: skip
def test_what_lets_others_go_on_already_is_left_alone(query: str) -> None:
    """Or has no such form."""
    assert maintenance(query, "shop", 15) is None


@pytest.mark.parametrize("ages", [(1.0, 1.5, 2.0, 2.5), (1.0, 0.2, 1.0, 0.2)])
def test_an_index_build_in_the_way_is_to_run_concurrently(ages: tuple[float, ...]) -> None:
    """No smaller batches: there are none."""
    window = Window.of(*(
        activity(
            active(1, "migrator", "CREATE INDEX i ON stock (n)", transaction_age=age),
            waiting(2, 1), waiting(3, 1),
        )
        for age in ages
    ))  # fmt: skip
    found = only(list(blocking_transaction(SERVER, window, None, None)))
    assert found.fixes[0].commands == ("SELECT pg_cancel_backend(1);",)
    assert found.fixes[0].undo == "run it again as below"
    assert found.fixes[1].commands == ("CREATE INDEX CONCURRENTLY i ON stock (n);",)


def test_a_queued_rewrite_is_to_be_another_tool() -> None:
    """It would stop the table for as long as it runs, whatever its lock_timeout."""
    vacuum = waiting(2, 1, event="relation", query="VACUUM FULL stock", query_age=20.0)
    readers = (waiting(i, 2, event="relation") for i in (3, 4))
    locks = lock_window(
        lock(2, "AccessExclusiveLock", granted=False),
        *(lock(i, "RowExclusiveLock", granted=False) for i in (3, 4)),
        lock(1, "AccessShareLock", granted=True),
    )
    found = only(list(ddl_queue(SERVER, still(open_idle(1), vacuum, *readers), locks)))
    assert "pg_repack" in found.fixes[1].title


def test_a_heavy_index_build_is_told_the_same() -> None:
    """It has no plan to look at."""
    build = active(1, "migrator", "CREATE INDEX i ON stock (n)", query_age=60.0, query_id="1")
    window = still(build, active(2, query=build.query, query_id="1"), samples=21)
    found = only(list(statement_share(SERVER, window, None, None, None, None, None)))
    assert found.fixes[0].commands == ("CREATE INDEX CONCURRENTLY i ON stock (n);",)


def sleepers(count: int) -> tuple[Session, ...]:
    fields = {"wait_type": "Timeout", "wait_event": "PgSleep", "query_age": 30.0}
    return tuple(active(i, "poller", "SELECT pg_sleep($1)", **fields) for i in range(count))


@pytest.mark.parametrize(("slots", "fires"), [(20, True), (21, False)])
def test_sleepers_count_from_half_of_the_slots(slots: int, fires: bool) -> None:
    """Ten of them: of 20 slots they take what others need, of 21 they do no harm."""
    window = still(*sleepers(10), samples=21)
    found = list(
        statement_share(SERVER, window, None, None, None, None, None, None, None, settings(slots))
    )
    assert [f.severity for f in found] == ([Severity.CRITICAL] if fires else [])
    if fires:
        assert "Sleep in the application" in only(found).fixes[0].title


def test_pollers_take_no_share_from_what_works() -> None:
    """Their time is nobody's; the statement that works has all of it."""
    window = still(*sleepers(3), active(50, query="SELECT 1", query_id="1"), samples=21)
    facts = statements(statement("1", 100, 5.0, query="SELECT 1"))
    (one,) = heavy(window, facts)
    assert (one.query, one.share) == ("SELECT 1", 1.0)
    assert len(heavy(window, facts, sleepers=True)) == 2
