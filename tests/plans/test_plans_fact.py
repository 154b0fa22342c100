"""The heaviest statements of a real server get a plan and the index that they lack, unrun."""

import asyncio
import json
import os
import signal
import threading
from collections.abc import Iterator

import psycopg
import pytest

from scaledoctor.demo.servers import PostgresServer
from scaledoctor.errors import ScaledoctorError, Unavailable
from scaledoctor.plans.trial import Trial
from scaledoctor.redact import Redactor
from scaledoctor.sources.postgres import Plans, StatementPlan
from scaledoctor.sources.postgres.plans import plans
from scaledoctor.sources.postgres.plans_ask import ask
from scaledoctor.sources.postgres.plans_own import in_time, own
from scaledoctor.sources.postgres.server import server as about_server
from scaledoctor.sources.postgres.server import settings
from scaledoctor.sources.postgres.session import postgres
from scaledoctor.sources.postgres.statements import statements
from scaledoctor.targets.postgres import postgres_target
from scaledoctor.window import Window
from tests.servers import StartPgBouncer
from tests.sources.pg import last, record, run, running, until

pytestmark = pytest.mark.live

SETUP = """
CREATE EXTENSION IF NOT EXISTS pg_stat_statements
CREATE TABLE buyers (id int PRIMARY KEY, email text, gone_at timestamptz)
INSERT INTO buyers SELECT i, 'b' || i || '@example.com' FROM generate_series(1, 30100) i
CREATE TABLE sales (id int PRIMARY KEY, buyer int REFERENCES buyers, state text, at timestamptz)
INSERT INTO sales SELECT i, 1 + i * 7 % 30000, CASE WHEN i % 1000 = 0 THEN 'failed' WHEN i % 3 = 0 THEN 'open' ELSE 'paid' END, '2025-01-01'::timestamptz + i * interval '1 minute' FROM generate_series(1, 120000) i
CREATE INDEX sales_at ON sales (at)
CREATE INDEX sales_state ON sales (state)
CREATE VIEW failed AS SELECT * FROM sales WHERE state = 'failed'
CREATE TABLE parts (id int, kind int, body text) PARTITION BY RANGE (id)
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (50000)
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (50000) TO (100000)
INSERT INTO parts SELECT i, i % 5000, repeat('p', 50) FROM generate_series(0, 99999) i
VACUUM ANALYZE
"""  # noqa: E501  one statement a line

CASES = {
    "equality": ("SELECT * FROM sales WHERE buyer = 4242", "sales(buyer)"),
    "unselective index": (
        "SELECT count(*) FROM sales WHERE state = 'open' AND buyer = 77", "sales(buyer)",
    ),
    "order under a limit": (
        "SELECT * FROM sales WHERE state = 'failed' ORDER BY at DESC LIMIT 10",
        "sales(state, at)",
    ),
    "an expression": (
        "SELECT * FROM buyers WHERE lower(email) = 'b7@example.com'", "buyers(email)",
    ),
    "a join": (
        "SELECT s.* FROM buyers b JOIN sales s ON s.buyer = b.id WHERE b.id = 77", "sales(buyer)",
    ),
    "an unqualified join column": (
        "SELECT state FROM buyers b, sales s WHERE buyer = b.id AND b.id = 77", "sales(buyer)",
    ),
    "a view": ("SELECT id FROM failed WHERE buyer = 77", "sales(buyer)"),
    "a CTE": (
        "WITH s AS (SELECT * FROM sales WHERE buyer = 77) SELECT count(*) FROM s", "sales(buyer)",
    ),
    "a partition": ("SELECT * FROM parts WHERE kind = 77", "parts(kind)"),
    "a foreign key on DELETE": ("DELETE FROM buyers WHERE id = 30001", "sales(buyer)"),
    "an expression of unknown values": (
        "SELECT * FROM buyers WHERE left(email, 3) = 'b77'", "",
    ),
    "healthy": ("SELECT * FROM sales WHERE id = 7", ""),
    "healthy, whole": ("SELECT sum(id) FROM sales", ""),
    "healthy, most rows": ("SELECT * FROM sales WHERE state = 'paid'", ""),
    "healthy, in order": ("SELECT * FROM sales ORDER BY at DESC LIMIT 5", ""),
    "a cast": ("SELECT * FROM sales WHERE id = 7::numeric", ""),
}  # fmt: skip


@pytest.fixture(scope="module")
def market(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """A database with indexes missing."""
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE market")
    with psycopg.connect(dsn(postgres_server), autocommit=True) as connection:
        for line in SETUP.strip().splitlines():
            connection.execute(line.encode())
        if postgres_server.major == 15:
            connection.execute("CREATE EXTENSION hypopg")
    yield postgres_server
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        connection.execute("DROP DATABASE market WITH (FORCE)")


def dsn(server: PostgresServer) -> str:
    """The database's."""
    return server.dsn(dbname="market")


async def read(server: PostgresServer) -> Plans:
    """The fact alone, as one shot reads it."""
    async with postgres.function(postgres_target(dsn(server)), Redactor()) as session:
        about, known = await about_server(session), await settings(session)
        counted = await statements(session, about, known)
        return await plans(session, about, Window.of(counted), None)


def planned(server: PostgresServer, query: str) -> StatementPlan:
    """The plan of a statement that was run some times, as a scan reads it."""
    with psycopg.connect(dsn(server), autocommit=True) as connection:
        connection.execute("SELECT pg_stat_statements_reset()")
        for _ in range(3):
            with connection.transaction(force_rollback=True):
                connection.execute(query.encode())
    found = asyncio.run(read(server))
    assert found.hypopg == (server.major == 15)
    words = query.split()[:3]
    mine = [p for p in found.plans if p.plan and p.trials] or list(found.plans)
    assert mine, words
    return mine[0]


@pytest.mark.parametrize("case", CASES)
def test_the_index_that_is_missing_is_found_by_the_plan(market: PostgresServer, case: str) -> None:
    """Whatever the text looks like; and none where none is missing."""
    query, wanted = CASES[case]
    found = planned(market, query)
    assert [t.subject for t in found.trials] == ([f"public.{wanted}"] if wanted else [])
    for trial in found.trials:
        assert trial.after < trial.before / 2
        able = market.major == 15 and not trial.partitioned and not trial.referring
        assert trial.tested == able


@pytest.mark.parametrize(
    "case", ["equality", "order under a limit", "an expression", "a partition"]
)
def test_the_advised_index_is_used(market: PostgresServer, case: str) -> None:
    """Made by its own commands, it is what the planner takes, at half the cost or less."""
    query, _ = CASES[case]
    (trial,) = planned(market, query).trials
    with psycopg.connect(dsn(market), autocommit=True) as connection:
        before = cost(connection, query)
        make(connection, trial)
        connection.execute("ANALYZE")
        assert cost(connection, query) < before / 2
        connection.execute(trial.undo().encode())
        if trial.partitioned:
            return
        assert cost(connection, query) > before / 2


def make(connection: "psycopg.Connection[tuple[object, ...]]", trial: Trial) -> None:
    """Run the commands as psql does, \\gexec included."""
    for command in trial.commands():
        if command.endswith(" \\gexec"):
            for (statement,) in connection.execute(command[:-7].encode()).fetchall():
                connection.execute(str(statement).encode())
        else:
            connection.execute(command.encode())


def cost(connection: "psycopg.Connection[tuple[object, ...]]", query: str) -> float:
    """The planner's."""
    rows = connection.execute(f"EXPLAIN (FORMAT JSON) {query}".encode()).fetchall()
    plan = rows[0][0]
    assert isinstance(plan, list)
    return float(plan[0]["Plan"]["Total Cost"])


def test_parameters_get_a_plan_too(market: PostgresServer) -> None:
    """As a driver sends them; and no value of the statistics is in the fact."""
    with psycopg.connect(dsn(market), autocommit=True) as connection:
        connection.execute("SELECT pg_stat_statements_reset()")
        for buyer in range(8):
            query = "SELECT * FROM sales WHERE buyer = %s AND state = %s ORDER BY at LIMIT %s"
            connection.execute(query, [buyer, "open", 5])
    found = last(record(dsn(market), 0.0), Plans)
    plan = next(p for p in found.plans if p.trials)
    assert plan.trials[0].columns[0] == "buyer"
    assert "'open'" not in plan.plan
    assert "Plan" in json.loads(plan.plan)


def test_a_server_in_distress_is_not_asked(market: PostgresServer) -> None:
    """Three wait for a lock."""

    def wait() -> None:
        with psycopg.connect(dsn(market)) as waiter:
            waiter.execute("SELECT pg_advisory_xact_lock(5)")

    def busy() -> None:
        run(dsn(market), "SELECT count(*) FROM sales WHERE buyer = 3")

    with psycopg.connect(dsn(market)) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(5)")
        threads = [threading.Thread(target=wait) for _ in range(3)]
        for thread in threads:
            thread.start()
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        with psycopg.connect(market.dsn(), autocommit=True) as look:
            until(lambda: (look.execute(query).fetchone() or (0,))[0] >= 3)
        found = record(dsn(market), 0.6, act=busy)
        holder.rollback()
        for thread in threads:
            thread.join(10)
    (skip,) = [s for s in found.skips if s.what == "Plans"]
    assert "wait for locks" in skip.reason


def test_it_runs_nothing_and_leaves_nothing(market: PostgresServer) -> None:
    """Not one more row is deleted, and the calls counted are the application's."""
    query = "DELETE FROM buyers WHERE id = 30003 AND gone_at IS NULL"
    with psycopg.connect(dsn(market), autocommit=True) as connection:
        (before,) = connection.execute("SELECT count(*) FROM buyers").fetchone() or (0,)
        planned(market, query)
        (after,) = connection.execute("SELECT count(*) FROM buyers").fetchone() or (0,)
        left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'scaledoctor'"
        until(lambda: connection.execute(left).fetchone() == (0,))  # it ends in its own time
    assert before == after


def test_a_role_that_cannot_read_is_told_how(market: PostgresServer) -> None:
    """pg_monitor sees the statements and may not plan them."""
    with psycopg.connect(dsn(market), autocommit=True) as connection:
        connection.execute("CREATE ROLE market_watcher LOGIN IN ROLE pg_monitor")
        connection.execute("SELECT pg_stat_statements_reset()")
        connection.execute("SELECT count(*) FROM sales WHERE buyer = 4")
        found = record(market.dsn("market_watcher", "market"), 0.0)
        connection.execute("DROP ROLE market_watcher")
    (skip,) = [s for s in found.skips if s.what == "Plans"]
    assert "may not read the tables" in skip.reason
    assert skip.enable == "GRANT pg_read_all_data TO market_watcher;"


def test_what_never_ends_gets_a_plan_too(market: PostgresServer) -> None:
    """It is in no counter, only in the samples."""
    endless = (
        "SELECT count(*) FROM sales a, sales b WHERE a.buyer = b.id + 1 AND pg_sleep(9) IS NULL"
    )
    with running(market, dsn(market), endless):
        run(dsn(market), "SELECT pg_stat_statements_reset()", "SELECT 1 FROM sales WHERE id = 1")
        found = last(record(dsn(market), 1.6), Plans)
    assert any("Join" in p.plan for p in found.plans)


def test_nothing_is_asked_through_a_pooler(
    market: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """What a statement takes in a session would stay with the pooler's server connection."""
    bouncer = start_pgbouncer(market)
    through = bouncer.dsn(dbname="market")
    (skip,) = [s for s in record(through, 0.0).skips if s.what == "Plans"]
    assert "pooler" in skip.reason
    with pytest.raises(ScaledoctorError, match="pooler"):
        ask(postgres_target(through), "SELECT 1", "never")


def test_a_server_that_stops_answering_is_left(market: PostgresServer) -> None:
    """Also in the midst of a plan: the connection is closed, not waited for."""

    async def stuck() -> str:
        async with own(dsn(market), 2.0) as connection:
            pid = connection.connection.info.backend_pid
            os.kill(pid, signal.SIGSTOP)
            try:
                with pytest.raises(Unavailable) as caught:
                    await in_time(connection, connection.rows("SELECT 1 AS one"), 0.3)
            finally:
                os.kill(pid, signal.SIGCONT)
            return caught.value.reason

    assert asyncio.run(stuck()) == "the server did not answer within 0.3 s"
