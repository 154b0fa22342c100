"""The scan does no harm: one guarded session, never behind a lock, never a hang."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from scaledoctor.demo.servers import PostgresBinaries, PostgresServer, postgres
from scaledoctor.demo.servers.child import accepts
from scaledoctor.sdk import Redactor, Unavailable
from scaledoctor.snapshot import Record
from scaledoctor.sources.postgres import Activity, Databases, Server, Tables, _wire
from scaledoctor.sources.postgres import session as source
from scaledoctor.targets import Target
from tests.sources.pg import last, look, readings, record, run, running, session, until

pytestmark = pytest.mark.live

OURS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'scaledoctor'"


def ask(dsn: str, query: str) -> list[dict[str, Any]]:
    """Run one statement as the source's probes do."""

    async def once() -> list[dict[str, Any]]:
        async with source.postgres.function(Target("postgres", "t", "here", dsn), Redactor()) as pg:
            return list(await pg.rows(query))

    return asyncio.run(once())


def setting(name: str) -> str:
    return f"current_setting('{name}') AS {name}"


def test_the_guards_are_set(shop: PostgresServer) -> None:
    """As they stand in the documentation."""
    names = ("application_name", "default_transaction_read_only", "lock_timeout",
             "statement_timeout", "idle_in_transaction_session_timeout", "jit",
             "search_path")  # fmt: skip
    (row,) = ask(shop.dsn(), "SELECT " + ", ".join(map(setting, names)))
    assert tuple(row.values()) == ("scaledoctor", "on", "200ms", "2s", "10s", "off", "pg_catalog")


def test_nothing_can_be_written(shop: PostgresServer) -> None:
    """Not even by a superuser."""
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        ask(shop.dsn(), "CREATE TABLE public.mine (a int)")


def test_a_statement_that_takes_long_is_ended_by_the_server(
    shop: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the statement_timeout, with a reason."""
    shorter = {**source.GUARDS, "statement_timeout": "300ms"}
    monkeypatch.setattr(source, "GUARDS", shorter)
    with pytest.raises(Unavailable, match="did not answer within 300ms"):
        ask(shop.dsn(), "SELECT pg_sleep(30)")


def test_a_hostile_search_path_is_not_followed(shop: PostgresServer) -> None:
    """A role whose search_path puts its own functions first does not have us call them."""
    body = "LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $m$trapped$m$; END'"
    run(
        shop.dsn(dbname="shop"),
        "CREATE SCHEMA trap",
        f"CREATE FUNCTION trap.pg_backend_pid() RETURNS int {body}",
        f"CREATE FUNCTION trap.set_config(text, text, boolean) RETURNS text {body}",
        "GRANT USAGE ON SCHEMA trap TO watcher",
        "ALTER ROLE watcher SET search_path = trap, pg_catalog",
    )
    try:
        found = record(shop.dsn("watcher", "shop"), 0.0)
    finally:
        run(
            shop.dsn(dbname="shop"),
            "ALTER ROLE watcher RESET search_path",
            "SET client_min_messages = error",
            "DROP SCHEMA trap CASCADE",
        )
    assert {s.what for s in found.skips} - {"Plans"} == {"Newcomers"}  # for want of a window


def test_one_session_and_it_goes(shop: PostgresServer) -> None:
    """However much is read, over one connection, and a second for plans; nothing is left."""
    seen: list[set[int]] = []
    stop = threading.Event()

    def watch() -> None:
        with psycopg.connect(shop.dsn(), autocommit=True) as connection:
            while not stop.is_set():
                seen.append({row[0] for row in connection.execute(OURS)})
                time.sleep(0.01)

    thread = threading.Thread(target=watch)
    thread.start()
    record(shop.dsn("watcher", "shop"))
    stop.set()
    thread.join()
    assert max(map(len, seen)) <= 2
    assert len(set().union(*seen)) <= 2
    until(lambda: not ours(shop))


def test_the_number_of_queries_does_not_grow_with_the_tables(shop: PostgresServer) -> None:
    """Three hundred tables more cost not one query more."""

    def queries() -> int:
        costs = record(shop.dsn("watcher", "shop"), 0.0).costs
        # These two depend on which statements are the heaviest just now: at most five, and one.
        return sum(c.calls for fact, c in costs.items() if fact not in ("Plans", "Tables"))

    before = queries()
    many = "DO $$ BEGIN FOR i IN 1..300 LOOP EXECUTE format('{}', i); END LOOP; END $$"
    run(shop.dsn(dbname="shop"), "CREATE SCHEMA many",
        many.format("CREATE TABLE many.t%s (id int PRIMARY KEY)"))  # fmt: skip
    try:
        after_many = queries()
    finally:
        run(shop.dsn(dbname="shop"), "SET client_min_messages = error",
            "DROP SCHEMA many CASCADE")  # fmt: skip
    assert after_many == before <= 12


def test_no_lock_on_a_table_stops_us(shop: PostgresServer) -> None:
    """Locked exclusively, and a schema change that waits for it: all is read, in time."""
    dsn = shop.dsn("app", "shop")
    run(shop.dsn(dbname="shop"), 'SELECT "spare parts".pg_stat_statements_reset()')
    run(dsn, "SELECT id FROM account WHERE owner = 3")
    with (
        session(dsn, "LOCK TABLE account"),
        running(shop, dsn, "ALTER TABLE account ADD note text", waits="Lock"),
    ):
        snapshot = look(shop.dsn("watcher", "shop"))
    (found,) = snapshot.records
    assert snapshot.seconds < 15
    assert [s for s in found.skips if s.what != "Plans"] == []
    assert found.failures == ()
    table = last(found, Tables).find("public", "account")
    assert table is not None
    assert table.locked


def test_a_locked_catalogue_costs_one_fact(shop: PostgresServer) -> None:
    """An exclusive lock on a system table: what needs it is skipped, the rest is read."""
    with session(shop.dsn(dbname="shop"), "LOCK TABLE pg_extension"):
        snapshot = look(shop.dsn("watcher", "shop"))
    (found,) = snapshot.records
    assert snapshot.seconds < 15
    assert found.failures == ()
    reasons = {s.what: s.reason for s in found.skips}
    assert "exclusive lock on a system catalogue" in reasons["Server"]
    assert len(readings(found, Activity)) == 2


def ours(server: PostgresServer) -> list[int]:
    with psycopg.connect(server.dsn()) as connection:
        return [row[0] for row in connection.execute(OURS)]


def interrupted(server: PostgresServer, act: Callable[[], object]) -> Record:
    """A scan that loses its connection in the middle: what was read stays, nothing crashes."""
    snapshot = look(server.dsn(), act=act, tick=1)
    (found,) = snapshot.records
    assert snapshot.seconds < 15
    assert found.reach.ok
    assert found.failures == ()
    assert last(found, Server).database == "postgres"
    assert len(readings(found, Activity)) == len(readings(found, Databases)) == 1
    return found


def test_a_session_that_is_terminated(shop: PostgresServer) -> None:
    """The reason is told for each fact that is missing."""
    ending = f"SELECT pg_terminate_backend(pid) FROM ({OURS}) AS ours"
    found = interrupted(shop, lambda: run(shop.dsn(), ending))
    reasons = {s.reason for s in found.skips if s.what in ("Activity", "Databases", "Newcomers")}
    assert len(reasons) == 1
    assert reasons.pop().startswith("connection lost: terminating connection due to admin")


def test_a_server_that_crashes(pg_binaries: PostgresBinaries) -> None:
    """An immediate shutdown asks no session."""
    with postgres(bindir=pg_binaries.bindir) as server:

        def crash() -> None:
            os.kill(server.pid, signal.SIGQUIT)
            until(lambda: not accepts(server.port))

        found = interrupted(server, crash)
    reasons = {s.reason for s in found.skips if s.what in ("Activity", "Databases", "Newcomers")}
    assert len(reasons) == 1
    assert reasons.pop().startswith("connection lost: ")


def test_a_server_that_freezes_in_the_middle(
    shop: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two statements are waited for, then no more; the scan ends soon after its window."""
    monkeypatch.setattr(_wire, "PATIENCE", 1.0)
    stopped: list[int] = []

    def stop() -> None:
        for pid in ours(shop):
            stopped.append(pid)
            os.kill(pid, signal.SIGSTOP)

    try:
        found = interrupted(shop, stop)
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert stopped
    reasons = {s.reason for s in found.skips if s.what in ("Activity", "Databases", "Newcomers")}
    assert reasons == {
        "the server did not answer within 1 s",
        "connection lost: the server has stopped answering",
    }
