"""pg_stat_statements: numbers of all statements at both edges, texts of the heaviest only."""

from dataclasses import dataclass
from typing import Any

from scaledoctor.sdk import Cadence, Unavailable, fact, probe
from scaledoctor.sources.postgres.server import Server
from scaledoctor.sources.postgres.session import TAG, PostgresSession
from scaledoctor.sql import identifier

TEXTS = 30
"""Statements whose text is read: the heaviest of the window."""


@fact
@dataclass(frozen=True, slots=True)
class Statement:
    """One statement's cumulative counters; ``seconds`` is execution time, lock waits included.

    ``query`` is empty for all but the heaviest; ``blocks`` are shared blocks hit and read.
    """

    key: str
    query_id: str
    calls: int
    seconds: float
    rows: int
    blocks: int
    blocks_read: int
    temp_blocks: int
    query: str = ""


@fact
@dataclass(frozen=True, slots=True)
class Statements:
    """All statements of this database's server at one moment; ``evicted`` counts deallocations.

    ``reset_age`` is seconds since the counters were reset, None when the version cannot tell.
    """

    statements: tuple[Statement, ...]
    evicted: int | None
    reset_age: float | None


_NUMBERS = """
SELECT concat_ws('/', queryid, userid, dbid{toplevel}) AS key, queryid::text AS query_id,
       calls, total_exec_time / 1000.0 AS seconds, rows,
       shared_blks_hit + shared_blks_read AS blocks, shared_blks_read AS blocks_read,
       temp_blks_written AS temp_blocks
FROM {schema}.pg_stat_statements(false)
WHERE calls > 0 AND queryid IS NOT NULL
  AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

_TEXTS = """
SELECT queryid::text AS query_id, min(left(query, 4000)) AS query
FROM {schema}.pg_stat_statements
WHERE queryid = ANY(%(ids)s)
  AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
GROUP BY queryid
"""

_INFO = """
SELECT dealloc AS evicted, extract(epoch FROM now() - stats_reset)::float8 AS reset_age
FROM {schema}.pg_stat_statements_info
"""


@probe(cost="2 queries, 5 ms per 1,000 statements, at both edges", cadence=Cadence.EDGES)
async def statements(pg: PostgresSession, server: Server) -> Statements:
    """Read the numbers of every statement, and the texts of the heaviest since the first read."""
    version = _extension_version(server)
    schema = identifier(server.statements_schema)
    toplevel = ", toplevel" if version >= (1, 9) else ""
    rows = await pg.rows(_NUMBERS.format(schema=schema, toplevel=toplevel))
    info: list[dict[str, Any]] = []
    if version >= (1, 9):
        info = await pg.rows(_INFO.format(schema=schema))
    texts = await _texts(pg, schema, rows)
    ours = {query_id for query_id, text in texts.items() if text.startswith(TAG.strip())}
    return Statements(
        statements=tuple(
            Statement(
                **{**row, "seconds": float(row["seconds"])},
                query=pg.redactor.sql(texts.get(row["query_id"], "")),
            )
            for row in rows
            if row["query_id"] not in ours
        ),
        evicted=info[0]["evicted"] if info else None,
        reset_age=info[0]["reset_age"] if info else None,
    )


async def _texts(pg: PostgresSession, schema: str, rows: list[dict[str, Any]]) -> dict[str, str]:
    """Return texts by query id of the statements that grew most since the last reading."""
    before: dict[str, float] = pg.memory.get("statements", {})
    pg.memory["statements"] = {row["key"]: float(row["seconds"]) for row in rows}
    grown = sorted(rows, key=lambda r: before.get(r["key"], 0.0) - float(r["seconds"]))
    ids = [int(row["query_id"]) for row in grown[:TEXTS]]
    found = await pg.rows(_TEXTS.format(schema=schema), {"ids": ids})
    return {row["query_id"]: row["query"] for row in found}


def _extension_version(server: Server) -> tuple[int, ...]:
    if not server.statements_version:
        raise Unavailable(
            "pg_stat_statements is not installed in this database",
            "add it to shared_preload_libraries, restart, then: "
            "CREATE EXTENSION pg_stat_statements;",
        )
    if not server.sees_all:
        raise Unavailable(
            f"role {server.role} sees only its own statements in pg_stat_statements", server.grant
        )
    version = tuple(int(part) for part in server.statements_version.split("."))
    if version < (1, 8):
        raise Unavailable(
            f"pg_stat_statements {server.statements_version} is older than the server",
            "ALTER EXTENSION pg_stat_statements UPDATE;",
        )
    return version
