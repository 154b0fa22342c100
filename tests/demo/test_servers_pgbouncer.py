"""The launcher of PgBouncer."""

import psutil
import psycopg
import pytest

from scaledoctor.demo.servers import PostgresServer
from tests.servers import StartPgBouncer

pytestmark = pytest.mark.live


def test_roles_and_applications_pass_through(
    pg18: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """A client's role and application_name are those of its server connection."""
    pooler = start_pgbouncer(pg18)
    with psycopg.connect(pg18.dsn(), autocommit=True) as admin:
        admin.execute("CREATE ROLE pooled LOGIN")
        try:
            with psycopg.connect(
                pooler.dsn("pooled", application_name="app-1"), prepare_threshold=None
            ) as client:
                row = client.execute(
                    "SELECT usename, application_name FROM pg_stat_activity"
                    " WHERE pid = pg_backend_pid()"
                ).fetchone()
        finally:
            admin.execute("DROP ROLE pooled")
    assert row == ("pooled", "app-1")


def test_ini_overrides_and_the_console_answers(
    pg18: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """The console shows the settings that were asked for, to a role that may only look."""
    pooler = start_pgbouncer(pg18, "session", {"default_pool_size": 3})
    with psycopg.connect(pooler.dsn("stats", "pgbouncer"), autocommit=True) as console:
        config = {row[0]: row[1] for row in console.execute("SHOW CONFIG")}
    assert config["pool_mode"] == "session"
    assert config["default_pool_size"] == "3"
    assert psutil.Process(pooler.pid).uids().real != 0
