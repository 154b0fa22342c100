"""Names and texts that were made to break things, or come in another encoding."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest

from scaledoctor.demo.servers import PostgresServer
from scaledoctor.diagnosis import diagnose
from scaledoctor.snapshot import dumps, loads
from scaledoctor.sources.postgres import Activity, Databases, LockTable, Server, Tables
from scaledoctor.sql import identifier
from tests.sources.pg import last, look, record, registry, run, running, session

pytestmark = pytest.mark.live

TABLE = '<script>|\n\x1b[31m"; --'
ROLE = 'it\'s "me" @example.com'
DATABASE = "sales | 100% \"x\" 'y'"
APPLICATION = "**bold** `x` | <b> \x1b[31m é"


@pytest.fixture(scope="module")
def odd(shop: PostgresServer) -> Iterator[str]:
    """The DSN of a role, on a database, with odd names; an odd table is there too."""
    role, database = identifier(ROLE), identifier(DATABASE)
    run(shop.dsn(), f"CREATE ROLE {role} LOGIN", f"CREATE DATABASE {database} OWNER {role}")
    dsn = shop.dsn(ROLE, DATABASE, application_name=APPLICATION)
    run(shop.dsn(dbname=DATABASE), "CREATE EXTENSION pg_stat_statements")
    run(dsn, f"CREATE SCHEMA {identifier(TABLE)}", f"CREATE TABLE {odd_table()} (id int, ref int)")
    yield dsn
    run(shop.dsn(), f"DROP DATABASE {database} WITH (FORCE)", f"DROP ROLE {role}")


def odd_table() -> str:
    return f"{identifier(TABLE)}.{identifier(TABLE)}"


def test_odd_names_are_read_as_they_are(shop: PostgresServer, odd: str) -> None:
    """Database, role, schema and table; locks on it; the lookup of its indexes."""
    lookup = f"SELECT * FROM {odd_table()} WHERE ref = 1"
    with (
        session(odd, f"LOCK TABLE {odd_table()}") as holder,
        running(shop, odd, lookup, waits="Lock") as waiter,
    ):
        blocked = look(shop.dsn(dbname=DATABASE), 0.0)
    (found,) = blocked.records
    assert found.failures == ()
    one = next(s for s in last(found, Activity).sessions if s.pid == waiter)
    assert (one.user, one.database, one.blockers) == (ROLE, DATABASE, (holder,))
    assert one.application.startswith("**bold** `x` | <b> ")
    request = last(found, LockTable).awaited(waiter)
    assert request is not None
    assert request.relation == f"{TABLE}.{TABLE}"
    assert DATABASE in {d.database for d in last(found, Databases).databases}
    free = record(shop.dsn(dbname=DATABASE), act=lambda: run(odd, lookup))
    table = last(free, Tables).find(TABLE, TABLE)
    assert table is not None
    assert table.leading == ()
    assert loads(dumps(blocked), registry().facts) == blocked
    diagnose(blocked, registry())


def test_the_grant_for_an_odd_role_works(shop: PostgresServer, odd: str) -> None:
    """It is quoted, and it opens our eyes."""
    with session(shop.dsn("app", "shop")):
        blind = look(odd, 0.0)
        server = last(blind.records[0], Server)
        (skip,) = [s for s in diagnose(blind, registry()).skipped if s.what == "postgres.locks"]
        assert skip.enable == server.grant
        assert not server.sees_all
        run(shop.dsn(), server.grant)
        seeing = record(odd, 0.0)
    run(shop.dsn(), server.grant.replace("GRANT", "REVOKE").replace(" TO ", " FROM "))
    assert last(seeing, Server).sees_all
    assert last(seeing, Activity).hidden == 0


STATEMENTS = {
    "latin1": "SELECT 'é\\' AS \"é\"".encode("latin-1"),
    "sql_ascii": b'SELECT 1 AS "\xff\xfe"',
    "euc_jp": "SELECT '日' AS \"日本\"".encode("euc_jp"),
    "shop": "SELECT '€' AS \"€\"".encode(),
}
"""A statement in the encoding of its database; shop's is UTF8."""


@contextmanager
def clients(server: PostgresServer) -> Iterator[dict[int, str]]:
    """Databases of other encodings and a session on each: its database by pid."""
    others = [name for name in STATEMENTS if name != "shop"]
    create = "CREATE DATABASE {0} ENCODING '{0}' LOCALE 'C' TEMPLATE template0"
    run(server.dsn(), *map(create.format, others))
    pids: dict[int, str] = {}
    with ExitStack() as stack:
        for database, statement in STATEMENTS.items():
            dsn = server.dsn(dbname=database)
            client = stack.enter_context(psycopg.connect(dsn, autocommit=True))
            client.execute("SELECT set_config('client_encoding', "
                           "current_setting('server_encoding'), false)")  # fmt: skip
            if database == "latin1":
                client.execute('CREATE DATABASE "dé"')
            client.execute("BEGIN")
            client.execute(statement)
            pids[client.info.backend_pid] = database
        yield pids
    with psycopg.connect(server.dsn(dbname="latin1"), autocommit=True) as client:
        client.execute("SET client_encoding = latin1")
        client.execute('DROP DATABASE "dé"')
    run(server.dsn(), *[f"DROP DATABASE {name} WITH (FORCE)" for name in others])
    # A byte that is no UTF-8 would keep everybody from reading any text in there.
    run(server.dsn(dbname="shop"), 'SELECT "spare parts".pg_stat_statements_reset()')


def test_databases_of_other_encodings(shop: PostgresServer) -> None:
    """A statement in one encoding is no obstacle to whoever looks from another."""
    with clients(shop) as pids:
        found = {name: record(shop.dsn(dbname=name), 0.0) for name in STATEMENTS}
    for database, one in found.items():
        (name,) = [d.database for d in last(one, Databases).databases if d.database[0] == "d"]
        assert name == ("dé" if database == "latin1" else "d\ufffd")
        sessions = {s.pid: s for s in last(one, Activity).sessions}
        assert all(sessions[pid].query.startswith("SELECT") for pid in pids)
        (own,) = [sessions[pid].query for pid in pids if pids[pid] == database]
        assert "'" not in own
        column = {"latin1": "é", "euc_jp": "日本", "shop": "€"}.get(database, "")
        assert f'AS "{column}' in own
    (skip,) = [s for s in found["shop"].skips if s.what == "Statements"]
    assert "encoding" in skip.reason
    assert "pg_stat_statements_reset" in skip.enable
