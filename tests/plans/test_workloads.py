"""Twenty seeded workloads that lack an index, and ten that lack none."""

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from scaledoctor.demo.servers import PostgresServer
from scaledoctor.plans.trial import Trial
from scaledoctor.sources.postgres.plans_index import advised, hypothetical
from scaledoctor.sources.postgres.plans_ladder import climb
from scaledoctor.sources.postgres.plans_own import own

pytestmark = [pytest.mark.live, pytest.mark.slow]

TABLE = """
CREATE TABLE {t} (id int PRIMARY KEY, a int, b int, state text, gone timestamptz, at timestamptz, note text)
INSERT INTO {t} SELECT i, i * 7919::bigint % {many}, i % {few}, (ARRAY['new', 'open', 'paid', 'sent'])[1 + (i * 31 % 97 % 4)], CASE WHEN i % {rare} <> 0 THEN now() END, '2025-01-01'::timestamptz + i * interval '1 minute', 'note ' || i FROM generate_series(1, {rows}) i
CREATE INDEX ON {t} (at)
CREATE INDEX ON {t} (b)
CREATE TABLE {t}_ref AS SELECT i AS id, 'name ' || i AS name FROM generate_series(1, 3000) i
ALTER TABLE {t}_ref ADD PRIMARY KEY (id)
VACUUM ANALYZE {t}, {t}_ref
"""  # noqa: E501  one statement a line

SHAPES = (
    "SELECT * FROM {t} WHERE a = {n}",
    "SELECT count(note) FROM {t} WHERE a = {n} AND b = {n} % 3",
    "SELECT note FROM {t} WHERE a = {n} ORDER BY at DESC LIMIT 10",
    "SELECT * FROM {t} WHERE lower(note) = 'note {n}'",
    "SELECT max(t.note) FROM {t} t JOIN {t}_ref r ON r.id = t.a WHERE r.name = 'name {n}'",
    "SELECT r.name, (SELECT count(t.note) FROM {t} t WHERE t.a = r.id) FROM {t}_ref r "
    "WHERE r.id < 5",
    "SELECT * FROM {t} WHERE a IN ({n}, {n} + 1)",
    "SELECT sum(length(note)) FROM {t} WHERE a BETWEEN {n} AND {n} + 3",
    "WITH x AS (SELECT * FROM {t} WHERE a = {n}) SELECT count(note) FROM x",
    "UPDATE {t} SET note = note WHERE a = {n}",
)

HEALTHY = (
    "SELECT * FROM {t} WHERE id = {n}",
    "SELECT * FROM {t} WHERE at > '2025-01-01' AND at < '2025-01-01 00:05'",
    "SELECT sum(length(note)) FROM {t}",
    "SELECT state, count(note) FROM {t} GROUP BY state",
    "SELECT * FROM {t} ORDER BY at DESC LIMIT 10",
    "SELECT count(note) FROM {t} WHERE state <> 'new'",
    "SELECT * FROM {t} t JOIN {t}_ref r ON r.id = t.id WHERE r.name = 'name {n}'",
    "SELECT * FROM {t}_ref WHERE id = {n}",
    "UPDATE {t} SET note = note WHERE id = {n}",
    "SELECT count(*) FROM {t} WHERE state IN ('open', 'paid', 'sent')",
)


@pytest.fixture(scope="module")
def yard(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """Two tables of random size and skew."""
    rng = random.Random(20)
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE yard")
    with psycopg.connect(postgres_server.dsn(dbname="yard"), autocommit=True) as connection:
        for name in ("bookings", "visits"):
            sizes = {
                "rows": rng.randrange(60_000, 120_000), "many": rng.randrange(3000, 20_000),
                "few": rng.randrange(3, 9), "rare": rng.randrange(50, 200),
            }  # fmt: skip
            for line in TABLE.strip().splitlines():
                connection.execute(line.format(t=name, **sizes).encode())
        if postgres_server.major == 15:
            connection.execute("CREATE EXTENSION hypopg")
    yield postgres_server
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        connection.execute("DROP DATABASE yard WITH (FORCE)")


def advice(server: PostgresServer, query: str) -> tuple[Trial, ...]:
    """The index for one statement."""

    async def ask() -> tuple[Trial, ...]:
        async with own(server.dsn(dbname="yard"), 20.0) as connection:
            rung = await climb(connection, query)
            return await advised(connection, rung, (), await hypothetical(connection))

    return asyncio.run(ask())


def run(connection: "psycopg.Connection[Any]", query: str) -> tuple[float, str]:
    """Blocks that a statement reads, and its plan in words; nothing is kept."""
    with connection.transaction(force_rollback=True):
        sql = f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {query}"
        connection.execute(b"SET LOCAL max_parallel_workers_per_gather = 0")
        (document,) = connection.execute(sql.encode()).fetchone() or ([],)
    plan = document[0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], str(plan)


@pytest.mark.parametrize("table", ["bookings", "visits"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_index_is_used_and_saves_four_fifths(
    yard: PostgresServer, shape: str, table: str
) -> None:
    """Of the blocks read, which do not depend on how busy the machine is."""
    query = shape.format(t=table, n=random.Random(shape + table).randrange(1, 2900))
    (trial,) = advice(yard, query)
    with psycopg.connect(yard.dsn(dbname="yard"), autocommit=True) as connection:
        before, _ = run(connection, query)
        for command in trial.commands():
            connection.execute(command.encode())
        try:
            connection.execute(f"ANALYZE {table}".encode())
            after, plan = run(connection, query)
        finally:
            connection.execute(trial.undo().encode())
    assert trial.name in plan
    assert before >= 5 * after


@pytest.mark.parametrize("shape", HEALTHY)
def test_none_is_advised_where_none_helps(yard: PostgresServer, shape: str) -> None:
    """Primary keys, whole tables, an order that an index has already."""
    assert advice(yard, shape.format(t="visits", n=77)) == ()
