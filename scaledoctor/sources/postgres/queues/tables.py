"""Tables that hold queues: found by name and columns, with what vacuum knows of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.postgres.queues._delayed_job import DELAYED_JOB
from scaledoctor.sources.postgres.queues._family import Family
from scaledoctor.sources.postgres.queues._good_job import GOOD_JOB
from scaledoctor.sources.postgres.queues._graphile import GRAPHILE
from scaledoctor.sources.postgres.queues._oban import OBAN
from scaledoctor.sources.postgres.queues._pg_boss import PG_BOSS, PG_BOSS_9
from scaledoctor.sources.postgres.queues._pgmq import PGMQ, PREFIX
from scaledoctor.sources.postgres.queues._procrastinate import PROCRASTINATE
from scaledoctor.sources.postgres.queues._que import QUE
from scaledoctor.sources.postgres.queues._river import RIVER
from scaledoctor.sources.postgres.queues._solid_queue import SOLID_QUEUE
from scaledoctor.sources.postgres.session import PostgresSession
from scaledoctor.sql import identifier

FAMILIES: tuple[Family, ...] = (
    PROCRASTINATE, OBAN, RIVER, QUE, GOOD_JOB, SOLID_QUEUE, DELAYED_JOB, GRAPHILE, PG_BOSS,
    PG_BOSS_9, PGMQ,
)  # fmt: skip

EVERY = 2.0
"""Seconds between two looks: a queue's trend needs a handful of readings in ten seconds."""

MOST = 200
"""Relations looked at, those that libraries need beside their queues included."""


@dataclass(frozen=True, slots=True)
class QueueTable:
    """One table of a queue's library; counters are cumulative, of its partitions together.

    ``system`` is empty for a table that another one's readings need. ``readable`` is this role's
    right to select, ``hidden`` that row level security would show it no rows. ``locked``: somebody
    holds or awaits an exclusive lock. ``leading`` are the first columns of its indexes. ``words``
    are in every statement that takes a job from it. ``tuned`` are its autovacuum settings.
    """

    system: str
    schema: str
    name: str
    readable: bool
    hidden: bool
    locked: bool
    pages: int
    live: int
    dead: int
    inserted: int
    updated: int
    deleted: int
    vacuums: int
    vacuumed: float | None
    leading: tuple[str, ...]
    words: tuple[str, ...] = ()
    tuned: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """schema.table."""
        return f"{self.schema}.{self.name}"

    @property
    def quoted(self) -> str:
        """As a statement names it."""
        return f"{identifier(self.schema)}.{identifier(self.name)}"


@fact
@dataclass(frozen=True, slots=True)
class QueueTables:
    """The tables of all queues in one database; ``complete`` False where there are too many."""

    tables: tuple[QueueTable, ...]
    complete: bool = True

    @property
    def queues(self) -> tuple[QueueTable, ...]:
        """Those whose rows are jobs."""
        return tuple(table for table in self.tables if table.system)

    def find(self, schema: str, name: str) -> QueueTable | None:
        """The table of that name."""
        found = (t for t in self.tables if (t.schema, t.name) == (schema, name))
        return next(found, None)


# No pg_*_size and no pg_get_*: they wait behind an exclusive lock. The range of names finds
# pgmq's tables by the index on names.
_TABLES = """
SELECT n.nspname::text AS schema, c.relname::text AS name,
       has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable,
       c.relrowsecurity AND row_security_active(c.oid) AS hidden,
       EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'relation'
               AND l.mode = 'AccessExclusiveLock' AND l.relation IN (
                   SELECT c.oid UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = c.oid)
               AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
              ) AS locked,
       s.*,
       extract(epoch FROM now() - greatest(pg_stat_get_last_autovacuum_time(c.oid),
                                           pg_stat_get_last_vacuum_time(c.oid)))::float8
           AS vacuumed,
       ARRAY(SELECT DISTINCT a.attname::text FROM pg_index i
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
             WHERE i.indrelid = c.oid AND i.indisvalid ORDER BY 1) AS leading,
       ARRAY(SELECT o FROM unnest(c.reloptions) o WHERE o LIKE 'autovacuum%%') AS tuned,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT coalesce(sum(q.relpages), 0)::int8 AS pages,
           coalesce(sum(pg_stat_get_live_tuples(q.oid)), 0)::int8 AS live,
           coalesce(sum(pg_stat_get_dead_tuples(q.oid)), 0)::int8 AS dead,
           coalesce(sum(pg_stat_get_tuples_inserted(q.oid)), 0)::int8 AS inserted,
           coalesce(sum(pg_stat_get_tuples_updated(q.oid)), 0)::int8 AS updated,
           coalesce(sum(pg_stat_get_tuples_deleted(q.oid)), 0)::int8 AS deleted,
           coalesce(sum(pg_stat_get_vacuum_count(q.oid)
                        + pg_stat_get_autovacuum_count(q.oid)), 0)::int8 AS vacuums
    FROM pg_class q
    WHERE q.oid = c.oid OR q.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = c.oid)
) s
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND (c.relname = ANY(%(names)s)
       OR (c.relname >= 'q_' AND c.relname < 'q`' AND n.nspname = 'pgmq'))
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
ORDER BY c.relpages DESC
LIMIT %(most)s
"""

_COUNTS = ("pages", "live", "dead", "inserted", "updated", "deleted", "vacuums")


def family_of(name: str, schema: str, columns: set[str]) -> Family | None:
    """The library that has such a table."""
    for family in FAMILIES:
        ours = name.startswith(PREFIX) if family is PGMQ else name == family.table
        if ours and columns.issuperset(family.columns) and (family is not PGMQ or schema == "pgmq"):
            return family
    return None


def _names() -> Iterator[str]:
    for family in FAMILIES:
        yield family.table
        yield from family.needs
        for part in family.parts:
            yield from part.needs


@probe(cost="1 query, < 3 ms whatever the number of tables", cadence=Cadence.SAMPLED, every=EVERY)
async def queue_tables(pg: PostgresSession) -> QueueTables:
    """Look for the tables of every library in the catalogue; rows of theirs are not read."""
    rows = await pg.rows(_TABLES, {"names": sorted(set(_names())), "most": MOST})
    tables = tuple(_table(pg, row) for row in rows)
    kept = tuple(t for t in tables if t.system or _near(t, tables))
    return QueueTables(kept, complete=len(rows) < MOST)


def _near(table: QueueTable, tables: tuple[QueueTable, ...]) -> bool:
    """Whether a library's queue is in the same schema: names such as "job" are not rare."""
    return any(
        table.name in family.needs or any(table.name in part.needs for part in family.parts)
        for family in FAMILIES
        if any(t.schema == table.schema and t.system == family.system for t in tables)
    )


def _table(pg: PostgresSession, row: dict[str, Any]) -> QueueTable:
    family = family_of(row["name"], row["schema"], set(row["columns"]))
    if family:
        known: dict[tuple[str, str], Family] = pg.memory.setdefault("families", {})
        known[row["schema"], row["name"]] = family
    return QueueTable(
        system=family.system if family else "",
        schema=row["schema"],
        name=row["name"],
        readable=row["readable"],
        hidden=bool(row["hidden"]),
        locked=row["locked"],
        vacuumed=row["vacuumed"],
        leading=tuple(row["leading"]),
        words=family.words if family else (),
        tuned=tuple(row["tuned"] or ()),
        **{name: row[name] for name in _COUNTS},
    )
