"""What is read from a PostgreSQL is what is the case there."""

import time
from contextlib import suppress

import psycopg
import pytest

from scaledoctor.demo.servers import PostgresServer, standby_of
from scaledoctor.snapshot import Record
from scaledoctor.sources.postgres import (
    Activity,
    Databases,
    LockTable,
    Newcomers,
    Server,
    Session,
    Settings,
    Statements,
    Tables,
    XminHolders,
)
from tests.servers import needs_servers
from tests.sources.pg import last, meanwhile, readings, record, run, running, session, until

pytestmark = pytest.mark.live


def watcher(server: PostgresServer) -> str:
    """The DSN of a role with pg_monitor."""
    return server.dsn("watcher", "shop")


def app(server: PostgresServer, name: str = "web") -> str:
    """The DSN of an application."""
    return server.dsn("app", "shop", application_name=name)


def on_socket(server: PostgresServer) -> str:
    """The same, but over the server's Unix socket."""
    return f"host={server.data.parent} port={server.port} user=app dbname=shop"


def by_pid(activity: Activity, pid: int) -> Session:
    return next(s for s in activity.sessions if s.pid == pid)


def test_the_server_and_the_role(shop: PostgresServer) -> None:
    """Version, role, rights, place and extension, as pg_monitor, superuser and anybody."""
    seen = {
        role: last(record(shop.dsn(role, "shop"), 0.0), Server)
        for role in ("watcher", "postgres", "plain")
    }
    for role, server in seen.items():
        assert (server.major, server.database, server.role) == (shop.major, "shop", role)
        assert (server.port, server.local, server.pooled) == (shop.port, True, False)
        assert not server.in_recovery
        assert 0 < server.uptime < 3600
        assert server.statements_schema == "spare parts"
        assert (server.role_limit, server.database_limit) == (-1, -1)
    assert [s.superuser for s in seen.values()] == [False, True, False]
    assert [s.sees_all for s in seen.values()] == [True, True, False]
    assert seen["plain"].grant == "GRANT pg_monitor TO plain;"


def test_settings_are_the_servers_and_not_our_guards(shop: PostgresServer) -> None:
    """Time-outs are what other sessions have."""
    settings = last(record(watcher(shop), 0.0), Settings)
    assert settings.max_connections == 100
    assert settings.reserved == 3
    assert settings.number("deadlock_timeout") == 100
    for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        assert settings.values[name] == "0"
    assert ("reserved_connections" in settings.values) is (shop.major >= 16)


def test_sessions_and_what_each_one_does(shop: PostgresServer) -> None:
    """State, wait, ages, application, user, database, client; no text of an idle session."""
    with (
        session(app(shop, "worker"), "UPDATE account SET balance = 7 WHERE id = 1") as worker,
        psycopg.connect(on_socket(shop), autocommit=True) as idle,
        running(shop, app(shop, "report"), "SELECT pg_sleep(20)") as report,
    ):
        idle.execute("SELECT 'quiet'")
        quiet = idle.info.backend_pid
        time.sleep(0.1)
        activity = last(record(watcher(shop)), Activity)
    one = by_pid(activity, worker)
    assert (one.database, one.user, one.application) == ("shop", "app", "worker")
    assert (one.client, one.state, one.wait_event) == (
        "127.0.0.1", "idle in transaction", "ClientRead",
    )  # fmt: skip
    assert one.query == "UPDATE account SET balance = $1 WHERE id = $2"
    assert one.idle_in_transaction
    assert one.transaction_age is not None
    assert one.state_age is not None
    assert one.transaction_age >= one.state_age >= 0.5
    assert (one.xid_age or 0) >= 1
    one = by_pid(activity, report)
    assert (one.state, one.wait_type, one.wait_event) == ("active", "Timeout", "PgSleep")
    assert one.query == "SELECT pg_sleep($1)"
    assert one.active
    assert (one.query_age or 0) >= 0.5
    assert bool(one.query_id) is (shop.major >= 14)
    one = by_pid(activity, quiet)
    assert (one.client, one.state, one.query) == ("", "idle", "")
    assert one.transaction_age is None
    assert activity.own == 1
    assert (activity.hidden, activity.untracked) == (0, 0)
    assert not [s for s in activity.sessions if s.application == "scaledoctor"]


def test_who_waits_for_whom(shop: PostgresServer) -> None:
    """A reader, a schema change behind it, and readers behind that; the modes in pg_locks."""
    with (
        session(app(shop, "report"), "SELECT count(*) FROM account") as reader,
        running(shop, app(shop), "ALTER TABLE account ADD note text", waits="Lock") as ddl,
        running(shop, app(shop), "SELECT 1 FROM account", waits="Lock") as victim,
    ):
        found = record(watcher(shop))
        activity, locks = last(found, Activity), last(found, LockTable)
    root = reader
    assert by_pid(activity, root).blockers == ()
    assert by_pid(activity, ddl).blockers == (root,)
    assert ddl in by_pid(activity, victim).blockers
    assert by_pid(activity, ddl).blocked
    assert by_pid(activity, victim).blocked
    request = locks.awaited(ddl)
    assert request is not None
    assert (request.kind, request.mode) == ("relation", "AccessExclusiveLock")
    assert request.relation == "public.account"
    assert locks.held(root, "public.account") == ("AccessShareLock",)
    assert locks.awaited(root) is None


def test_rows_and_advisory_locks_have_waiters_too(shop: PostgresServer) -> None:
    """A row's holder, and an advisory lock's; nobody waits: the lock table is not read."""
    with (
        session(app(shop), "UPDATE account SET balance = 1 WHERE id = 2") as holder,
        running(shop, app(shop), "DELETE FROM account WHERE id = 2", waits="Lock") as row,
        session(app(shop), "SELECT pg_advisory_lock(42)") as adviser,
        running(shop, app(shop), "SELECT pg_advisory_lock(42)", waits="Lock") as advisory,
    ):
        activity = last(record(watcher(shop)), Activity)
    assert by_pid(activity, row).blockers == (holder,)
    assert by_pid(activity, row).wait_event == "transactionid"
    assert by_pid(activity, advisory).blockers == (adviser,)
    quiet = record(watcher(shop), 0.0)
    assert last(quiet, LockTable) == LockTable(())
    assert quiet.costs["LockTable"].calls == 0


def counted(server: PostgresServer, column: str) -> int:
    """What pg_stat_database says of shop; a session's numbers get there after its end."""
    with psycopg.connect(server.dsn()) as connection:
        query = f"SELECT {column} FROM pg_stat_database WHERE datname = 'shop'"
        row = connection.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0


def test_counters_of_the_databases(shop: PostgresServer) -> None:
    """What happens in the window is in the difference of its edges."""

    def work() -> None:
        with psycopg.connect(app(shop)) as connection:
            for _ in range(5):
                connection.execute("SELECT 1")
                connection.rollback()
        until(lambda: counted(shop, "xact_rollback") >= goal)

    goal = counted(shop, "xact_rollback") + 5
    found = readings(record(watcher(shop), act=work), Databases)
    (before,) = [d for d in found.first.databases if d.database == "shop"]
    (then,) = [d for d in found.last.databases if d.database == "shop"]
    assert then.rollbacks - before.rollbacks >= 5
    assert then.commits >= before.commits
    if then.sessions is None or before.sessions is None:
        assert shop.major == 13
    else:
        assert then.sessions - before.sessions >= 1
    assert {d.database for d in found.last.databases} >= {"shop", "postgres", "template1"}


def test_a_deadlock_is_counted(shop: PostgresServer) -> None:
    """Two sessions take two rows in different order."""

    def deadlock() -> None:
        with psycopg.connect(app(shop)) as one:
            one.execute("UPDATE account SET balance = 1 WHERE id = 3")
            other = "BEGIN; UPDATE account SET balance = 1 WHERE id = 4;"
            other += "UPDATE account SET balance = 1 WHERE id = 3"
            with (
                running(shop, app(shop), other, waits="Lock"),
                suppress(psycopg.errors.DeadlockDetected),  # either of the two is the one
            ):
                one.execute("UPDATE account SET balance = 1 WHERE id = 4")
            one.rollback()
        until(lambda: counted(shop, "deadlocks") > so_far)

    so_far = counted(shop, "deadlocks")
    found = readings(record(watcher(shop), act=deadlock), Databases)
    assert found.delta(lambda d: d.deadlocks) == 1


def test_statements_of_the_window(shop: PostgresServer) -> None:
    """Calls, rows, blocks and text without literals; a role's numbers stand for themselves."""
    lookup = "SELECT balance FROM account WHERE owner = 7 /* private */"

    def work() -> None:
        for role in ("app", "postgres"):
            run(shop.dsn(role, "shop"), *[lookup] * 4)

    found = readings(record(watcher(shop), act=work), Statements)
    texts = {s.query_id: s.query for s in found.last.statements if "owner =" in s.query}
    assert list(texts.values()) == ["SELECT balance FROM account WHERE owner = $1"]
    grown = grown_by(found.first, found.last)
    (mine, admins) = [grown[s.key] for s in found.last.statements if s.query_id in texts]
    for calls, rows, blocks, seconds in (mine, admins):
        assert (calls, rows) == (4, 400)
        assert blocks >= 4
        assert 0 < seconds < 60
    assert found.last.evicted == (0 if shop.major >= 14 else None)
    assert (found.last.reset_age is not None) is (shop.major >= 14)


def grown_by(first: Statements, later: Statements) -> dict[str, tuple[int, int, int, float]]:
    """Calls, rows, blocks and seconds that each statement gained."""
    before = {s.key: s for s in first.statements}
    return {
        s.key: (
            s.calls - (before[s.key].calls if s.key in before else 0),
            s.rows - (before[s.key].rows if s.key in before else 0),
            s.blocks - (before[s.key].blocks if s.key in before else 0),
            s.seconds - (before[s.key].seconds if s.key in before else 0.0),
        )
        for s in later.statements
    }


def test_the_extension_may_stand_in_a_closed_schema(shop: PostgresServer) -> None:
    """pg_monitor is not enough there; the grant that is works."""
    (skip,) = [s for s in record(shop.dsn("novice", "shop"), 0.0).skips if s.what == "Statements"]
    assert skip.enable == 'GRANT USAGE ON SCHEMA "spare parts" TO novice;'
    run(shop.dsn(dbname="shop"), skip.enable)
    assert last(record(shop.dsn("novice", "shop"), 0.0), Statements).statements
    run(shop.dsn(dbname="shop"), 'REVOKE USAGE ON SCHEMA "spare parts" FROM novice')


def test_our_own_statements_are_left_out(shop: PostgresServer) -> None:
    """pg_stat_statements knows them, the fact does not, however many statements there are."""
    run(app(shop), *[f"SELECT {', '.join(['1'] * n)}, pg_sleep(0.002)" for n in range(1, 60)])
    facts = last(record(watcher(shop)), Statements).statements
    with psycopg.connect(shop.dsn(dbname="shop")) as connection:
        query = """SELECT queryid::text FROM "spare parts".pg_stat_statements
                   WHERE query LIKE '%/* scaledoctor */%'"""
        ours = {row[0] for row in connection.execute(query)}
    assert len(ours) >= 8
    assert not ours & {s.query_id for s in facts}
    assert len(facts) >= 59


def test_tables_behind_the_statements(shop: PostgresServer) -> None:
    """Rows, pages, scans, and the columns that whole indexes lead with."""
    dsn = shop.dsn("app", "shop")
    run(dsn, "CREATE INDEX first ON account (balance, owner)")
    run(dsn, "CREATE INDEX few ON account (owner) WHERE owner > 5")
    found = record(watcher(shop), act=lambda: run(dsn, "SELECT id FROM account WHERE owner = 7"))
    table = last(found, Tables).find("public", "account")
    run(dsn, "DROP INDEX first", "DROP INDEX few")
    assert table is not None
    assert (table.rows, table.leading, table.locked) == (1000.0, ("balance", "id"), False)
    assert table.pages > 0
    assert table.seq_scans >= 1
    assert table.seq_rows >= 1000


def test_who_holds_back_vacuum(shop: PostgresServer) -> None:
    """A slot and a prepared transaction, with owner and age; sessions have theirs in Activity."""
    run(
        shop.dsn(dbname="shop"),
        "SELECT pg_create_logical_replication_slot('feed', 'pgoutput')",
    )
    with psycopg.connect(app(shop), autocommit=True) as connection:
        for statement in ("BEGIN", "UPDATE account SET balance = 2 WHERE id = 9",
                          "PREPARE TRANSACTION 'order 66'"):  # fmt: skip
            connection.execute(statement.encode())
        time.sleep(0.2)
        found = last(record(watcher(shop), 0.0), XminHolders)
        connection.execute("ROLLBACK PREPARED 'order 66'")
    run(shop.dsn(dbname="shop"), "SELECT pg_drop_replication_slot('feed')")
    holders = {h.kind: h for h in found.holders}
    prepared, slot = holders["prepared transaction"], holders["replication slot"]
    assert (prepared.name, prepared.owner) == ("order 66", "app")
    assert prepared.xid_age >= 1
    assert prepared.seconds is not None
    assert 0.2 <= prepared.seconds < 60
    assert (slot.name, slot.owner) == ("feed", "shop")
    assert slot.seconds is None


def test_a_standby_and_what_it_holds_back(shop: PostgresServer) -> None:
    """A standby is read too; its primary sees what a reader there still needs."""
    settings: dict[str, str | int] = {
        "hot_standby_feedback": "on",
        "wal_receiver_status_interval": 1,
    }
    with (
        needs_servers(),
        standby_of(shop, settings=settings) as standby,
        session(standby.dsn("app", "shop"), "SET transaction_isolation = 'repeatable read'",
                "SELECT count(*) FROM account") as reader,
    ):  # fmt: skip
        found = record(standby.dsn("watcher", "shop"))
        until(lambda: "standby" in kinds(shop))
        blind = record(shop.dsn("plain", "shop"), 0.0)
    assert last(found, Server).in_recovery
    mine = by_pid(last(found, Activity), reader)
    assert mine.idle_in_transaction
    assert mine.xid_age is not None
    assert [s for s in found.skips if s.what != "Plans"] == []
    (skip,) = [s for s in blind.skips if s.what == "XminHolders"]
    assert "standbys" in skip.reason
    assert skip.enable == "GRANT pg_monitor TO plain;"


def kinds(server: PostgresServer) -> set[str]:
    found: Record = record(watcher(server), 0.0)
    return {h.kind for h in last(found, XminHolders).holders}


def test_who_opens_the_connections(shop: PostgresServer) -> None:
    """At many new sessions per second their application is caught, and that they end."""

    def connect() -> None:
        with psycopg.connect(app(shop, "cgi")) as connection:
            connection.execute("SELECT 1")

    with meanwhile(connect):
        found = last(record(watcher(shop)), Newcomers)
    assert found.rate >= 5
    assert {s.label for s in found.sessions} == {"cgi"}
    assert any(s.gone for s in found.sessions)
