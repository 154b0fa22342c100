"""A standby's replay and a row that several hold, as real servers show them."""

import psycopg
import pytest

from scaledoctor.demo.servers import PostgresServer, standby_of
from scaledoctor.sources.postgres import Activity, LockTable, Replay
from tests.servers import needs_servers
from tests.sources.pg import last, record, run, running, session, until, wait_of

pytestmark = pytest.mark.live


def test_who_is_in_the_way_of_the_replay(shop: PostgresServer) -> None:
    """pg_blocking_pids says nothing of it; the lock table does."""
    owner = shop.dsn("app", "shop")
    run(owner, "CREATE TABLE replayed (id int)")
    with (
        needs_servers(),
        standby_of(shop, settings={"max_standby_streaming_delay": "10min"}) as standby,
        session(standby.dsn("app", "shop"), "SELECT count(*) FROM replayed") as reader,
    ):
        run(owner, "ALTER TABLE replayed ADD COLUMN n int")
        until(lambda: replay_waits(standby))
        query = "SELECT count(*) FROM replayed"
        with running(standby, standby.dsn("app", "shop"), query, waits="Lock") as waiter:
            found = record(standby.dsn("watcher", "shop"))
    activity, table = last(found, Activity), last(found, LockTable)
    replay = activity.replay
    assert replay is not None
    (behind,) = [s for s in activity.sessions if s.pid == waiter]
    assert behind.blockers == (replay.pid,)
    assert table.ahead(replay.pid) == (reader,)
    late = last(found, Replay)
    assert (late.waiting or 0) > 0
    assert late.age is None, "no commit was replayed yet"


def replay_waits(standby: PostgresServer) -> bool:
    with psycopg.connect(standby.dsn()) as connection:
        query = "SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
        return connection.execute(query).fetchone() is not None


def test_a_primary_replays_nothing(shop: PostgresServer) -> None:
    """Its start-up process is gone."""
    found = record(shop.dsn("watcher", "shop"), 0.0)
    assert last(found, Activity).replay is None
    assert last(found, Replay) == Replay(None, None)


def test_who_else_locked_rows_of_the_table(shop: PostgresServer) -> None:
    """The server names the one in front; the one that only read is not among them."""
    app = shop.dsn("app", "shop")
    query = "SELECT id FROM account WHERE id = 7"
    with (
        session(app, f"{query} FOR SHARE") as first,
        session(app, f"{query} FOR KEY SHARE") as second,
        session(app, query),
        running(shop, app, "DELETE FROM account WHERE id = 7", waits="Lock") as waiter,
    ):
        found = record(shop.dsn("watcher", "shop"), 0.0)
        assert wait_of(shop, waiter) == "Lock"
    assert set(last(found, LockTable).row_lockers(waiter)) == {first, second}
    (blocked,) = [s for s in last(found, Activity).sessions if s.pid == waiter]
    assert set(blocked.blockers) < {first, second}


def test_a_relation_of_another_database_has_a_number(shop: PostgresServer) -> None:
    """Only its own database can name it."""
    app = shop.dsn("app", "shop")
    with (
        session(app, "SELECT count(*) FROM account"),
        running(shop, app, "LOCK TABLE account", waits="Lock") as waiter,
    ):
        found = record(shop.dsn("watcher", "postgres"), 0.0)
    request = last(found, LockTable).awaited(waiter)
    assert request is not None
    assert request.elsewhere
    assert request.relation.endswith(" in database shop")
