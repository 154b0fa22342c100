"""Maintenance that stops others, and its form that does not."""

import re

from scaledoctor.sdk import Fix

_INDEX = re.compile(r"\s*create\s+(?:unique\s+)?index\s+(?!concurrently\b)", re.I)
_REINDEX = re.compile(
    r"\s*reindex\s+(?:\([^)]*\)\s*)?(?:table|index|schema|database)\s+(?!concurrently\b)", re.I
)
_REFRESH = re.compile(r"\s*refresh\s+materialized\s+view\s+(?!concurrently\b)", re.I)
_REWRITE = re.compile(
    r"\s*(?:vacuum\s+(?:\([^)]*\bfull\b[^)]*\)|full\b)|cluster\b)"
    r"(?:\s+(?:freeze|verbose|analyze)\b)*\s*(?P<table>[\w.\"]*)",
    re.I,
)

_RISKS = (
    (_INDEX, "reads the table twice and takes longer; not inside a transaction; one that fails "
     "leaves an INVALID index: DROP INDEX CONCURRENTLY it"),
    (_REINDEX, "needs room for the second index and takes longer; not inside a transaction; one "
     "that fails leaves an INVALID index whose name ends in _ccnew"),
    (_REFRESH, "needs a unique index over all rows of the view; slower where most rows change"),
)  # fmt: skip


def maintenance(query: str, database: str, major: int) -> Fix | None:
    """Return how to do the same while others go on; None for what is no such statement."""
    for pattern, risk in _RISKS:
        if found := pattern.match(query):
            return _concurrently(query, found.end(), risk)
    rewrite = _REWRITE.match(query)
    return _repack(rewrite["table"], database, major) if rewrite else None


def _concurrently(query: str, at: int, risk: str) -> Fix:
    return Fix(
        "Run it so that reads and writes go on",
        (f"{query[:at].strip()} CONCURRENTLY {query[at:].rstrip('; ')};",),
        risk=risk,
        verify="SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid;  -- no row"
        if "INVALID" in risk
        else "its statement ends, and nobody waits in pg_stat_activity",
        undo="cancel it",
    )


def _repack(table: str, database: str, major: int) -> Fix:
    which = f" --table={table}" if table else ""
    return Fix(
        "Rewrite the table with pg_repack, which lets reads and writes go on",
        (
            f"apt-get install postgresql-{major}-repack",
            f"psql -d {database} -c 'CREATE EXTENSION IF NOT EXISTS pg_repack'",
            f"pg_repack --dbname={database}{which} --no-order",
        ),
        language="shell",
        risk="needs a primary key, room for a second copy, and an exclusive lock for a moment at "
        "both ends; a superuser runs it",
        verify="the table's relpages in pg_class fall",
        undo="none needed: it leaves the table as it is when it fails",
    )
