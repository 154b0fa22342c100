"""A real pooler whose PostgreSQL is not there, full, or wants another password."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest
from psycopg.rows import dict_row

from scaledoctor.demo.servers import PostgresServer, pgbouncer, postgres
from tests.checks.pool_live import (
    WORK,
    chain,
    clients,
    console,
    every,
    first,
    quiet,
    scan,
    statement,
    web,
)
from tests.servers import needs_servers, postgres_binaries

pytestmark = pytest.mark.live


@contextmanager
def few_slots() -> Iterator[PostgresServer]:
    """A server with 17 usable slots and two applications' roles."""
    settings = {"max_connections": 20, "superuser_reserved_connections": 3}
    with (
        needs_servers(),
        postgres(bindir=postgres_binaries(15).bindir, settings=settings) as server,
    ):
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            admin.execute("CREATE ROLE web LOGIN")
            admin.execute("CREATE ROLE reports LOGIN")
        yield server


def test_pools_that_want_more_than_postgres_has() -> None:
    """reports' pool takes the slots, web's opens none: one root, and the arithmetic as a risk."""
    with (
        few_slots() as server,
        needs_servers(),
        pgbouncer(server.port) as pooler,
        psycopg.connect(server.dsn(), autocommit=True) as superuser,
        clients(
            24,
            pooler.dsn("reports", application_name="reports"),
            statement("SELECT pg_sleep(0.2)"),
        ),
    ):
        await_no_slots(superuser)
        with clients(4, web(pooler), WORK):
            report = scan(console(pooler), server.dsn())
    found = first(report)
    assert found.finding.subject == "reports"
    assert [s.check for s in found.symptoms] == ["pgbouncer.starved"]
    assert chain(found) == ["pgbouncer.pool:postgres/web", "postgres.connections"]
    assert "pgbouncer.over-commit" in every(report)
    assert "pgbouncer.backend-unreachable" not in every(report)


def await_no_slots(superuser: psycopg.Connection, patience: float = 30.0) -> None:
    """Wait until all slots but the reserved ones are taken, ours among them."""
    until = time.monotonic() + patience
    query = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    while time.monotonic() < until:
        row = superuser.execute(query.encode()).fetchone()
        if row is not None and row[0] >= 17:
            return
        time.sleep(0.1)
    raise AssertionError("slots are left")


@pytest.mark.parametrize("silent", [True, False], ids=["hangs", "refuses"])
def test_a_backend_that_is_not_there(silent: bool) -> None:
    """Nobody listens, or somebody who never answers: no size of any pool helps."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listener.getsockname()[1]
        if not silent:
            listener.close()
        with needs_servers():
            pooler = stack.enter_context(pgbouncer(port, ini={"auth_user": ""}))
        stack.enter_context(clients(4, pooler.dsn("postgres", "shop"), statement("SELECT 1")))
        report = scan(console(pooler))
    found = first(report)
    assert (found.finding.check, found.finding.subject) == (
        "pgbouncer.backend-unreachable",
        "shop/postgres",
    )
    assert f"127.0.0.1:{port}" in found.finding.summary
    assert ("connect failed" in found.finding.summary) is not silent


def test_a_backend_that_wants_another_password() -> None:
    """PgBouncer's log says so; the line of the fix, with the password, lets it in."""
    with (
        needs_servers(),
        postgres(bindir=postgres_binaries(15).bindir) as server,
        pgbouncer(server.port, ini={"server_login_retry": 1, "auth_user": ""}) as pooler,
        psycopg.connect(server.dsn(), autocommit=True) as admin,
        psycopg.connect(pooler.dsn("postgres", "pgbouncer"), autocommit=True) as administrator,
    ):
        users = pooler.ini.parent / "users.txt"
        known = users.read_text()
        users.write_text(f'{known}"web" "hunter1"\n')
        administrator.execute("RELOAD")
        admin.execute("CREATE ROLE web LOGIN PASSWORD 'hunter2'")
        here = "127.0.0.1/32"
        rules = f"host all postgres {here} trust\nhost all all {here} scram-sha-256\n"
        (server.data / "pg_hba.conf").write_text(rules)
        admin.execute("SELECT pg_reload_conf()")
        with clients(4, web(pooler), statement("SELECT 1", pause=0.1)):
            found = first(scan(console(pooler), server.dsn()))
            (line,) = [c for c in found.finding.fixes[0].commands if "PASSWORD" in c]
            right = line.removeprefix("-- ").replace("ITS-PASSWORD", "hunter2")
            users.write_text(f"{known}{right}\n")
            administrator.execute("RELOAD")
            await_server(pooler.dsn("stats", "pgbouncer"))
            quiet(scan(console(pooler), server.dsn()))
    assert found.finding.check == "pgbouncer.backend-unreachable"
    assert "server login failed" in found.finding.summary


def await_server(dsn: str, patience: float = 20.0) -> None:
    """Wait until the pool of web has a server."""
    until = time.monotonic() + patience
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as asking:
        rows = asking.cursor(row_factory=dict_row)
        while time.monotonic() < until:
            found = rows.execute("SHOW POOLS").fetchall()
            if any(r["user"] == "web" and r["sv_active"] + r["sv_idle"] for r in found):
                return
            time.sleep(0.2)
    raise AssertionError("the pool has no server")
