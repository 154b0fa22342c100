"""Each fault of a real pooler is the first finding; a healthy one is quiet."""

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from scaledoctor.demo.servers import PostgresServer, postgres
from scaledoctor.model import Severity
from tests.checks.pool_live import (
    WORK,
    chain,
    clients,
    console,
    every,
    first,
    paste,
    quiet,
    scan,
    statement,
    web,
)
from tests.servers import StartPgBouncer, needs_servers, postgres_binaries

pytestmark = pytest.mark.live

HOLDER = "UPDATE pool_stock SET n = n + 1 WHERE id = 1"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One with pg_stat_statements, a role and a row to fight for."""
    with needs_servers(), postgres(bindir=postgres_binaries(15).bindir) as one:
        with psycopg.connect(one.dsn(), autocommit=True) as admin:
            admin.execute("CREATE EXTENSION pg_stat_statements")
            admin.execute("CREATE ROLE web LOGIN")
            admin.execute("CREATE TABLE pool_stock (id int PRIMARY KEY, n int NOT NULL)")
            admin.execute("INSERT INTO pool_stock VALUES (1, 0)")
            admin.execute("GRANT ALL ON pool_stock TO web")
        yield one


@pytest.fixture(autouse=True)
def alone(request: pytest.FixtureRequest) -> None:
    """End what the test before left running in the shared server."""
    if "server" not in request.fixturenames:
        return
    shared: PostgresServer = request.getfixturevalue("server")
    others = (
        "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    with psycopg.connect(shared.dsn(), autocommit=True) as admin:
        admin.execute(f"SELECT pg_terminate_backend(pid) {others}".encode())
        while admin.execute(f"SELECT 1 {others}".encode()).fetchone():
            time.sleep(0.05)


def test_a_pool_too_small_and_what_its_fix_does(
    server: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """12 clients for 3 servers; the lines of the fix, pasted and loaded, end it."""
    pooler = start_pgbouncer(server, ini={"default_pool_size": 3})
    with clients(12, web(pooler), WORK):
        found = first(scan(console(pooler), server.dsn()))
        assert (found.finding.check, found.finding.subject) == (
            "pgbouncer.pool-too-small",
            "postgres/web",
        )
        assert chain(found) == ["pgbouncer.pool:postgres/web"]
        assert any("transactions/s x (" in str(e.value) for e in found.finding.evidence)
        paste(found, pooler)
        quiet(scan(console(pooler), server.dsn()))


def test_without_postgres_the_same_pool_is_told_with_less_confidence(
    server: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """Whether the servers work or wait is not known then."""
    pooler = start_pgbouncer(server, ini={"default_pool_size": 3})
    with clients(12, web(pooler), WORK):
        found = first(scan(console(pooler)))
    assert found.finding.check == "pgbouncer.pool-too-small"
    assert "PostgreSQL was not looked at" in found.finding.summary


def test_a_lock_behind_a_full_pool_is_the_root(
    server: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """The holder is named, the pool stands in the chain, and no larger pool is advised."""
    pooler = start_pgbouncer(server, ini={"default_pool_size": 4})
    with psycopg.connect(server.dsn(application_name="forgetful")) as holder:
        holder.execute(HOLDER)
        with clients(12, web(pooler), statement(HOLDER)):
            report = scan(console(pooler), server.dsn())
            holder.rollback()
    found = first(report)
    assert (found.finding.check, found.finding.subject) == (
        "postgres.idle-in-transaction",
        "forgetful",
    )
    assert chain(found) == ["pgbouncer.pool:postgres/web", "postgres.locks"]
    assert "pgbouncer.pool-too-small" not in every(report)


def test_a_slow_statement_behind_a_full_pool_is_the_root(
    server: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """It takes more than a second each time; the pool is what people see of it."""
    pooler = start_pgbouncer(server, ini={"default_pool_size": 4})
    with clients(12, web(pooler), statement("SELECT pg_sleep(1.2), 'slow'")):
        report = scan(console(pooler), server.dsn(), 2.5)
    found = first(report)
    assert found.finding.check == "postgres.statement-share"
    assert chain(found) == ["pgbouncer.pool:postgres/web"]
    assert "pgbouncer.pool-too-small" not in every(report)


@pytest.mark.parametrize("seen", [True, False], ids=["with PostgreSQL", "console alone"])
def test_transactions_left_open_hold_the_servers(
    server: PostgresServer, start_pgbouncer: StartPgBouncer, seen: bool
) -> None:
    """Half a second of other work before each commit."""

    def dawdle(connection: psycopg.Connection) -> None:
        connection.execute("SELECT 1")
        time.sleep(0.5)
        connection.commit()

    pooler = start_pgbouncer(server, ini={"default_pool_size": 4})
    with clients(12, web(pooler), dawdle):
        report = scan(console(pooler), server.dsn() if seen else "")
    found = first(report)
    assert (found.finding.check, found.finding.subject) == (
        "pgbouncer.held-in-transaction",
        "postgres/web",
    )
    assert found.finding.summary.startswith("shop-web sits idle")
    assert "pgbouncer.pool-too-small" not in every(report)


@pytest.mark.parametrize("seen", [True, False], ids=["with PostgreSQL", "console alone"])
def test_session_mode_keeps_servers_for_idle_clients(
    server: PostgresServer, start_pgbouncer: StartPgBouncer, seen: bool
) -> None:
    """12 clients that mostly sleep; the fix, loaded, ends the queue for those that come."""
    pooler = start_pgbouncer(server, "session", {"default_pool_size": 4})
    with clients(12, web(pooler), statement("SELECT 1", pause=0.3)):
        report = scan(console(pooler), server.dsn() if seen else "")
    found = first(report)
    assert (found.finding.check, found.finding.subject) == (
        "pgbouncer.session-pooling",
        "postgres/web",
    )
    paste(found, pooler)
    with clients(12, web(pooler), statement("SELECT 1", pause=0.3)):
        quiet(scan(console(pooler), server.dsn()))


def test_the_client_limit_is_reached(
    server: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """16 want one of 10 places; the log counts the refusals."""
    pooler = start_pgbouncer(server, ini={"max_client_conn": 10})
    with clients(16, web(pooler), statement("SELECT 1", pause=0.2)):
        found = first(scan(console(pooler), server.dsn()))
    assert (found.finding.check, found.finding.subject) == ("pgbouncer.client-limit", "shop-web")
    assert "refused in the window" in found.finding.summary
    assert chain(found) == ["pgbouncer.clients"]


def test_one_user_starves_another_under_a_shared_cap(
    server: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """reports takes all six of max_db_connections; the fixes, carried out, give web its part."""
    pooler = start_pgbouncer(server, ini={"max_db_connections": 6})
    reports = pooler.dsn("postgres", application_name="reports")
    with (
        clients(12, reports, statement("SELECT pg_sleep(0.2)")),
        clients(6, web(pooler), statement("SELECT pg_sleep(0.05)")),
    ):
        found = first(scan(console(pooler), server.dsn()))
        assert (found.finding.check, found.finding.subject) == (
            "pgbouncer.starved",
            "postgres/postgres",
        )
        assert chain(found) == ["pgbouncer.pool:postgres/web"]
        paste(found, pooler)
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            admin.execute(found.finding.fixes[1].commands[0].encode())
        time.sleep(1.0)
        report = scan(console(pooler), server.dsn())
    assert "pgbouncer.starved" not in every(report)
    (row,) = [h for h in report.headroom if h.resource == "pgbouncer.pool:postgres/web"]
    assert row.used > 1


def test_a_paused_database(server: PostgresServer, start_pgbouncer: StartPgBouncer) -> None:
    """RESUME, pasted, ends it."""
    pooler = start_pgbouncer(server)
    admin_dsn = pooler.dsn("postgres", "pgbouncer")
    with (
        psycopg.connect(admin_dsn, autocommit=True) as admin,
        clients(4, web(pooler), statement("SELECT 1", pause=0.1)),
    ):
        admin.execute("PAUSE postgres")
        time.sleep(0.3)
        found = first(scan(console(pooler), server.dsn()))
        assert (found.finding.check, found.finding.subject) == ("pgbouncer.paused", "postgres")
        assert found.finding.severity is Severity.CRITICAL
        admin.execute(found.finding.fixes[0].commands[1].encode())
        time.sleep(0.3)
        quiet(scan(console(pooler), server.dsn()))


def test_an_application_with_one_connection(
    server: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """Busy all the time in short transactions, pooler and PostgreSQL idle."""
    pooler = start_pgbouncer(server)
    with clients(1, web(pooler), statement("SELECT pg_sleep(0.02)")):
        found = first(scan(console(pooler), server.dsn()))
    assert (found.finding.check, found.finding.subject) == (
        "pgbouncer.application-pool-single",
        "shop-web",
    )


def test_risks_of_the_settings_are_risks(
    server: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """A pooler that does nothing is healthy, whatever its settings."""
    pooler = start_pgbouncer(server, ini={"max_client_conn": 100_000, "default_pool_size": 60})
    with (
        clients(25, web(pooler), statement("SELECT 1", pause=1.0)),
        clients(1, pooler.dsn("postgres"), statement("SELECT 1", pause=1.0)),
    ):
        report = scan(console(pooler), server.dsn())
    quiet(report)
    risks = {f.check for f in report.risks}
    assert {
        "pgbouncer.wait-timeout",
        "pgbouncer.over-commit",
        "pgbouncer.file-descriptors",
    } <= risks


@pytest.mark.parametrize(
    ("ini", "count", "work"),
    [
        ({"default_pool_size": 10}, 6, statement("SELECT pg_sleep(0.02)", pause=0.02)),
        ({"default_pool_size": 4}, 8, statement("SELECT pg_sleep(0.005)", pause=0.02)),
        ({"default_pool_size": 5}, 5, WORK),
    ],
    ids=["under load", "short waits", "full and nobody waits"],
)
def test_a_healthy_pooler_is_quiet(
    server: PostgresServer, start_pgbouncer: StartPgBouncer, ini: dict[str, int], count: int,
    work: Any,
) -> None:  # fmt: skip
    """Room, waits that nobody notices, and a full pool without a queue."""
    pooler = start_pgbouncer(server, ini=ini)
    with clients(count, web(pooler), work):
        quiet(scan(console(pooler), server.dsn()))


def test_a_reserve_in_use_is_quiet(server: PostgresServer, start_pgbouncer: StartPgBouncer) -> None:
    """A rush made the pool take from its reserve; what came after needs some of it."""
    ini = {"default_pool_size": 2, "reserve_pool_size": 8, "reserve_pool_timeout": 1}
    pooler = start_pgbouncer(server, ini=ini)
    with clients(10, web(pooler), statement("SELECT pg_sleep(2)"), settle=4.5):
        pass
    with clients(6, web(pooler), statement("SELECT pg_sleep(0.1)", pause=0.05)):
        report = scan(console(pooler), server.dsn())
    quiet(report)
    (row,) = [h for h in report.headroom if h.resource == "pgbouncer.pool:postgres/web"]
    assert row.limit is not None
    assert row.limit > 2
