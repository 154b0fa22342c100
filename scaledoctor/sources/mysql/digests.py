"""performance_schema's digests: numbers of statements at both edges, texts of the heaviest."""

from dataclasses import dataclass
from typing import Any

from scaledoctor.sdk import Cadence, Unavailable, fact, probe
from scaledoctor.sources.mysql.server import MysqlServer
from scaledoctor.sources.mysql.session import MysqlSession

MOST = 5000
"""Digests read, the heaviest ever; the server keeps 10,000 at most."""

TEXTS = 20
"""Statements whose text is read: the heaviest of the window."""

OURS = ("`information_schema`", "`performance_schema`", "SHOW GLOBAL STATUS")
"""In the texts of our own statements, and of others that look at the server itself."""

ENABLE = "performance_schema = ON in the server's configuration, and restart"


@dataclass(frozen=True, slots=True)
class MysqlDigest:
    """One statement's cumulative counters; ``seconds`` has its lock waits ``locked`` in it.

    ``unindexed`` counts calls that used no index; ``text`` is empty for all but the heaviest.
    """

    key: str
    calls: int
    seconds: float
    locked: float
    examined: int
    sent: int
    unindexed: int
    text: str = ""


@fact
@dataclass(frozen=True, slots=True)
class MysqlDigests:
    """The digests of all statements but ours at one moment."""

    digests: tuple[MysqlDigest, ...]


_NUMBERS = """
SELECT concat(coalesce(schema_name, ''), '/', digest) AS `key`, count_star AS calls,
       sum_timer_wait / 1e12 AS seconds, sum_lock_time / 1e12 AS locked,
       sum_rows_examined AS examined, sum_rows_sent AS sent, sum_no_index_used AS unindexed
FROM performance_schema.events_statements_summary_by_digest
WHERE digest IS NOT NULL
ORDER BY sum_timer_wait DESC
LIMIT {most}
"""

_TEXTS = """
SELECT concat(coalesce(schema_name, ''), '/', digest) AS `key`, left(digest_text, 2000) AS text
FROM performance_schema.events_statements_summary_by_digest
WHERE digest IN ({marks})
"""


@probe(cost="2 queries, 10 ms per 1,000 statements, at both edges", cadence=Cadence.EDGES)
async def mysql_digests(my: MysqlSession, server: MysqlServer) -> MysqlDigests:
    """Read the numbers of every statement, and the texts of what grew most."""
    if not server.counts_statements:
        default = " (MariaDB's default)" if server.mariadb else ""
        raise Unavailable(f"performance_schema is off{default}: no statement is counted", ENABLE)
    grant = "GRANT SELECT ON performance_schema.* TO {user};"
    rows = await my.rows(_NUMBERS.format(most=MOST), grant=grant)
    if not rows:
        raise Unavailable(
            "performance_schema has counted no statement",
            "UPDATE performance_schema.setup_consumers SET enabled = 'YES' "
            "WHERE name = 'statements_digest';",
        )
    texts = await _texts(my, rows)
    found = (_digest(row, texts.get(row["key"], "")) for row in rows)
    return MysqlDigests(tuple(d for d in found if not any(word in d.text for word in OURS)))


async def _texts(my: MysqlSession, rows: list[dict[str, Any]]) -> dict[str, str]:
    before: dict[str, float] = my.memory.get("digests", {})
    my.memory["digests"] = {row["key"]: float(row["seconds"]) for row in rows}
    grown = sorted(rows, key=lambda r: before.get(r["key"], 0.0) - float(r["seconds"]))[:TEXTS]
    digests = sorted({row["key"].rpartition("/")[2] for row in grown})
    query = _TEXTS.format(marks=", ".join(["%s"] * len(digests)))
    return {row["key"]: my.statement(str(row["text"])) for row in await my.rows(query, digests)}


def _digest(row: dict[str, Any], text: str) -> MysqlDigest:
    return MysqlDigest(
        key=str(row["key"]),
        calls=int(row["calls"]),
        seconds=float(row["seconds"]),
        locked=float(row["locked"]),
        examined=int(row["examined"]),
        sent=int(row["sent"]),
        unindexed=int(row["unindexed"]),
        text=text,
    )
