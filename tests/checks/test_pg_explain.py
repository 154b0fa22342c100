"""The commands that show a plan are ones that a server takes."""

import psycopg
import pytest

from scaledoctor.demo.servers import PostgresServer
from scaledoctor.sql import normalise
from scaledoctor_checks.postgres._explain import plan

QUERIES = (
    "SELECT relname FROM pg_class WHERE relname = 'x' AND relpages > 5 ORDER BY 1 LIMIT 10",
    "SELECT relkind, count(*) FROM pg_class WHERE oid = ANY(ARRAY[1, 2]::oid[]) GROUP BY 1",
    "WITH a AS (SELECT 7 AS n) SELECT n::numeric(10, 2) FROM a WHERE n = 7",
    "SELECT now() - interval '1 day' FROM pg_class WHERE relname LIKE 'pg%'",
    "UPDATE t SET n = n + 1 WHERE id = 3",
    "DELETE FROM t WHERE id IN (1, 2, 3)",
    "INSERT INTO t VALUES (1, 2)",
    "SELECT 1",
)


@pytest.mark.parametrize("query", QUERIES)
def test_what_is_pasted_runs_and_changes_nothing(
    postgres_server: PostgresServer, query: str
) -> None:
    """As the report has it, without literals, by GENERIC_PLAN or by a prepared statement."""
    commands = plan(normalise(query), postgres_server.major)
    assert commands
    with psycopg.connect(postgres_server.dsn()) as connection:
        connection.execute("CREATE TEMP TABLE t (id int, n int)")
        for command in commands:
            for one in command.split("; "):
                # Typed in psql a statement has no parameters: the simple protocol.
                connection.pgconn.exec_(one.encode())
                assert not connection.pgconn.error_message, connection.pgconn.error_message
        rows = connection.execute("SELECT count(*) FROM t").fetchone()
        assert rows == (0,)
        connection.rollback()


@pytest.mark.parametrize(
    "text",
    ["COMMIT", "COPY t FROM STDIN", "DROP TABLE t", "CREATE INDEX i ON t (n)", "SELECT ? FROM t",
     "SELECT " + "x" * 4000],
)  # fmt: skip
def test_what_has_no_plan_or_was_cut_off_has_no_command(text: str) -> None:
    assert plan(text, 18) == ()
