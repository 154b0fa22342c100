"""Who looks, and through what: roles with fewer rights, and poolers in each mode."""

import psycopg
import pytest

from scaledoctor.demo.servers import PostgresServer
from scaledoctor.diagnosis import diagnose
from scaledoctor.sources.postgres import (
    Activity,
    LockTable,
    Server,
    Settings,
    Statements,
    XminHolders,
)
from tests.servers import StartPgBouncer
from tests.sources.pg import last, look, record, registry, run, running, session

pytestmark = pytest.mark.live


def test_a_role_without_rights_says_what_it_cannot_see(shop: PostgresServer) -> None:
    """Sessions are counted, their state is not known, and no check that needs it is called ok."""
    with session(shop.dsn("app", "shop", application_name="web"), "SELECT 'private'"):
        snapshot = look(shop.dsn("plain", "shop"))
    (found,) = snapshot.records
    assert found.failures == ()
    activity = last(found, Activity)
    assert activity.hidden == len(activity.sessions) >= 1
    web = next(s for s in activity.sessions if s.application == "web")
    assert (web.user, web.state, web.query, web.client) == ("app", "", "", "")
    report = diagnose(snapshot, registry())
    blind = {s.what: s for s in report.skipped}
    for check in ("postgres.locks", "postgres.idle-in-transaction", "postgres.ddl-queue",
                  "postgres.blocking-transaction", "postgres.xmin-held"):  # fmt: skip
        assert "role plain cannot see what" in blind[check].reason
        assert blind[check].enable == "GRANT pg_monitor TO plain;"
    assert "only its own statements" in blind["postgres.statement-share"].reason or (
        "cannot see" in blind["postgres.statement-share"].reason
    )
    assert not [line for line in report.ruled_out for check in blind if f"({check})" in line]
    assert "postgres.role-blind" in {f.check for f in report.blind_spots}


def test_a_role_with_pg_monitor_sees_all(shop: PostgresServer) -> None:
    """Of all roles, without being a superuser."""
    with session(shop.dsn("postgres", "shop", application_name="admin"), "SELECT 'private'"):
        snapshot = look(shop.dsn("watcher", "shop"))
    (found,) = snapshot.records
    assert [s for s in found.skips if s.what != "Plans"] == []
    admin = next(s for s in last(found, Activity).sessions if s.application == "admin")
    assert (admin.state, admin.query) == ("idle in transaction", "SELECT $1")
    missing = {s.what for s in diagnose(snapshot, registry()).skipped}
    assert missing == {"postgres.cpu-bound"}, "the machine was not looked at"


def test_sessions_that_report_nothing(shop: PostgresServer) -> None:
    """track_activities off is told from a role that may not see."""
    silent = "SET track_activities = off"
    with session(shop.dsn("postgres", "shop", application_name="mute"), "BEGIN", silent, "COMMIT"):
        snapshot = look(shop.dsn("watcher", "shop"), 0.0)
    activity = last(snapshot.records[0], Activity)
    assert (activity.hidden, activity.untracked) == (0, 1)
    skips = {s.what: s for s in diagnose(snapshot, registry()).skipped}
    assert "track_activities" in skips["postgres.locks"].reason
    assert "ALTER SYSTEM" in skips["postgres.locks"].enable


SHOWN = ("default_transaction_read_only", "search_path", "statement_timeout", "lock_timeout",
         "idle_in_transaction_session_timeout", "jit", "client_encoding",
         "application_name")  # fmt: skip


def shown(dsn: str) -> dict[str, str]:
    """The settings that a client finds, and the backend that serves it."""
    with psycopg.connect(dsn, autocommit=True) as client:
        values = {name: client.execute(f"SHOW {name}".encode()).fetchone() for name in SHOWN}
        pid = client.execute("SELECT pg_backend_pid()").fetchone()
    assert pid is not None
    return {name: str(row[0]) for name, row in values.items() if row} | {"pid": str(pid[0])}


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_through_a_pooler(shop: PostgresServer, start_pgbouncer: StartPgBouncer, mode: str) -> None:
    """All is read under the guards, and the server connection goes on as it was."""
    pooler = start_pgbouncer(shop, mode, {"default_pool_size": 1})
    dsn = pooler.dsn("watcher", "shop")
    before = shown(dsn)
    with (
        session(shop.dsn("app", "shop"), "UPDATE account SET balance = 1 WHERE id = 1") as holder,
        running(shop, shop.dsn("app", "shop"), "DELETE FROM account WHERE id = 1",
                waits="Lock") as waiter,
    ):  # fmt: skip
        found = record(dsn)
    after = shown(dsn)
    assert before == after, "the same backend with the same settings"
    assert (after["statement_timeout"], after["default_transaction_read_only"]) == ("0", "off")
    server = last(found, Server)
    assert (server.pooled, server.major, server.local) == (True, shop.major, True)
    assert {s.what for s in found.skips} == {"RoundTrip", "Plans"}, "a pooler is in between"
    assert last(found, Settings).values["statement_timeout"] == "0"
    sessions = {s.pid: s for s in last(found, Activity).sessions}
    assert sessions[waiter].blockers == (holder,)
    assert last(found, LockTable).awaited(waiter) is not None
    assert last(found, Statements).statements
    assert last(found, XminHolders).holders == ()


def test_a_pooled_session_of_another_client_is_not_ours(
    shop: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """In transaction mode a backend serves us now and another client next."""
    pooler = start_pgbouncer(shop, "transaction", {"default_pool_size": 2})
    dsn = pooler.dsn("watcher", "shop", application_name="neighbour")
    with session(dsn, "SELECT 1"):
        found = last(record(pooler.dsn("watcher", "shop")), Activity)
    assert [s.application for s in found.sessions if s.user == "watcher"] == ["neighbour"]
    with psycopg.connect(pooler.dsn("watcher", "shop")) as client:
        row = client.execute("SHOW application_name").fetchone()
    assert row is not None
    assert row[0] != "scaledoctor"


def test_limits_of_role_and_database(shop: PostgresServer) -> None:
    """As they are set; -1 is none."""
    admin = shop.dsn(dbname="shop")
    run(admin, "ALTER ROLE plain CONNECTION LIMIT 7", "ALTER DATABASE shop CONNECTION LIMIT 40")
    server = last(record(shop.dsn("plain", "shop"), 0.0), Server)
    run(admin, "ALTER ROLE plain CONNECTION LIMIT -1", "ALTER DATABASE shop CONNECTION LIMIT -1")
    assert (server.role_limit, server.database_limit) == (7, 40)
