"""pg_stat_statements: numbers of all statements at both edges, texts of the heaviest only."""

from dataclasses import dataclass
from typing import Any

from scaledoctor.sdk import Cadence, Unavailable, fact, probe
from scaledoctor.sources.postgres._wire import TAG
from scaledoctor.sources.postgres.server import Server, Settings
from scaledoctor.sources.postgres.session import PostgresSession
from scaledoctor.sql import identifier

TEXTS = 30
"""Statements whose text is read: the heaviest of the window."""

PRELOAD = "add pg_stat_statements to shared_preload_libraries and restart"


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

# The view reads all texts whatever is asked for, so that ours come at no cost.
_TEXTS = """
SELECT queryid::text AS query_id, min(left(query, 4000)) AS query,
       bool_or(strpos(query, %(tag)s) > 0) AS ours
FROM {schema}.pg_stat_statements
WHERE (queryid = ANY(%(ids)s) OR strpos(query, %(tag)s) > 0)
  AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
GROUP BY queryid
"""

_INFO = """
SELECT dealloc AS evicted, extract(epoch FROM now() - stats_reset)::float8 AS reset_age
FROM {schema}.pg_stat_statements_info
"""


@probe(cost="2 queries, 5 ms per 1,000 statements, at both edges", cadence=Cadence.EDGES)
async def statements(pg: PostgresSession, server: Server, settings: Settings) -> Statements:
    """Read the numbers of every statement, and the texts of the heaviest since the first read."""
    version = _extension_version(server, settings)
    schema = identifier(server.statements_schema)
    toplevel = ", toplevel" if version >= (1, 9) else ""
    usage = f"GRANT USAGE ON SCHEMA {schema} TO {{role}};"
    rows = await pg.rows(_NUMBERS.format(schema=schema, toplevel=toplevel), grant=usage)
    if not rows:
        raise Unavailable(
            "pg_stat_statements has counted nothing", "SHOW compute_query_id; it must not be off"
        )
    info: list[dict[str, Any]] = []
    if version >= (1, 9):
        info = await pg.rows(_INFO.format(schema=schema))
    texts, ours = await _texts(pg, schema, rows)
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


async def _texts(
    pg: PostgresSession, schema: str, rows: list[dict[str, Any]]
) -> tuple[dict[str, str], set[str]]:
    """Return texts by query id of what grew most since the last reading, and the ids of ours."""
    before: dict[str, float] = pg.memory.get("statements", {})
    pg.memory["statements"] = {row["key"]: float(row["seconds"]) for row in rows}
    grown = sorted(rows, key=lambda r: before.get(r["key"], 0.0) - float(r["seconds"]))
    ids = [int(row["query_id"]) for row in grown[:TEXTS]]
    found = await pg.rows(_TEXTS.format(schema=schema), {"ids": ids, "tag": TAG})
    texts = {row["query_id"]: row["query"] for row in found}
    return texts, {row["query_id"] for row in found if row["ours"]}


def _extension_version(server: Server, settings: Settings) -> tuple[int, ...]:
    if not server.statements_version:
        raise Unavailable(
            "pg_stat_statements is not installed in this database",
            f"{PRELOAD}, then: CREATE EXTENSION pg_stat_statements;",
        )
    if not server.sees_all:
        raise Unavailable(
            f"role {server.role} sees only its own statements in pg_stat_statements", server.grant
        )
    track = settings.values.get("pg_stat_statements.track", "")
    if not track:
        raise Unavailable("pg_stat_statements is created but not preloaded", PRELOAD)
    if track == "none":
        raise Unavailable(
            "pg_stat_statements.track is none: no statement is counted",
            "ALTER SYSTEM SET pg_stat_statements.track = 'top'; SELECT pg_reload_conf();",
        )
    version = tuple(int(part) for part in server.statements_version.split("."))
    if version < (1, 8):
        raise Unavailable(
            f"pg_stat_statements {server.statements_version} is older than the server",
            "ALTER EXTENSION pg_stat_statements UPDATE;",
        )
    return version
