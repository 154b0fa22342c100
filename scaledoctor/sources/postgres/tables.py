"""The tables behind the heaviest statements, with the columns that their indexes lead with."""

from dataclasses import dataclass

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.postgres.session import PostgresSession
from scaledoctor.sources.postgres.statements import Statements
from scaledoctor.sql import equality_predicates

MOST = 40
"""Tables looked up: enough for the heaviest statements, however many tables there are."""


@fact
@dataclass(frozen=True, slots=True)
class Table:
    """One table: planner's rows (-1: never analysed) and pages; columns each index leads with.

    ``seq_scans`` and ``seq_rows`` are cumulative counters. ``locked`` means that somebody holds
    or awaits an exclusive lock on it, so that nothing further may be asked about it.
    """

    schema: str
    name: str
    rows: float
    pages: int
    seq_scans: int
    seq_rows: int
    leading: tuple[str, ...]
    locked: bool

    @property
    def label(self) -> str:
        """schema.table."""
        return f"{self.schema}.{self.name}"


@fact
@dataclass(frozen=True, slots=True)
class Tables:
    """The tables that the heaviest statements compare columns of."""

    tables: tuple[Table, ...]

    def find(self, schema: str, name: str) -> Table | None:
        """The one table of that name; None when there is none or the name is ambiguous."""
        found = [t for t in self.tables if t.name == name and schema in ("", t.schema)]
        return found[0] if len(found) == 1 else None


# No pg_*_size, no pg_get_indexdef, no pg_get_expr: they wait behind an exclusive lock.
_TABLES = """
SELECT n.nspname::text AS schema, c.relname::text AS name, c.reltuples::float8 AS rows,
       c.relpages AS pages,
       coalesce(pg_stat_get_numscans(c.oid), 0) AS seq_scans,
       coalesce(pg_stat_get_tuples_returned(c.oid), 0) AS seq_rows,
       ARRAY(SELECT DISTINCT a.attname::text FROM pg_index i
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
             WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL
             ORDER BY 1) AS leading,
       EXISTS (SELECT FROM pg_locks l WHERE l.relation = c.oid AND l.locktype = 'relation'
               AND l.mode = 'AccessExclusiveLock'
               AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
              ) AS locked
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = ANY(%(names)s) AND c.relkind IN ('r', 'p')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
ORDER BY c.relpages DESC
LIMIT %(most)s
"""


@probe(cost="1 query, < 3 ms whatever the number of tables", cadence=Cadence.LAST)
async def tables(pg: PostgresSession, statements: Statements) -> Tables:
    """Look up the tables that the heaviest statements pin columns of."""
    texts = {s.query for s in statements.statements if s.query}
    names = {p.table for text in texts for p in equality_predicates(text)}
    names = {name for name in names if "\ufffd" not in name}  # a byte of it could not be read
    if not names:
        return Tables(())
    rows = await pg.rows(_TABLES, {"names": sorted(names), "most": MOST})
    return Tables(tuple(Table(**{**row, "leading": tuple(row["leading"])}) for row in rows))
