"""The tables of a plan in the catalogue, and the foreign keys that nothing serves."""

from collections.abc import Iterable
from typing import Any

from scaledoctor.plans.relation import Column, Index, Relation
from scaledoctor.plans.tree import Plan
from scaledoctor.sources.postgres.plans_own import Own

# No pg_get_indexdef, no pg_get_expr: they wait behind an exclusive lock.
_TABLES = """
SELECT n.nspname::text AS schema, c.relname::text AS name, c.reltuples::float8 AS rows,
       c.relpages AS pages,
       coalesce(pg_catalog.pg_stat_get_tuples_inserted(c.oid), 0)
       + coalesce(pg_catalog.pg_stat_get_tuples_updated(c.oid), 0)
       - coalesce(pg_catalog.pg_stat_get_tuples_hot_updated(c.oid), 0)
       + coalesce(pg_catalog.pg_stat_get_tuples_deleted(c.oid), 0) AS writes,
       EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.mode = 'AccessExclusiveLock'
               AND l.relation = c.oid) AS locked,
       (WITH RECURSIVE up AS (
          SELECT i.inhparent AS oid, 1 AS height FROM pg_catalog.pg_inherits i
          WHERE i.inhrelid = c.oid AND c.relispartition
          UNION ALL SELECT i.inhparent, up.height + 1 FROM up
          JOIN pg_catalog.pg_inherits i ON i.inhrelid = up.oid)
        SELECT ARRAY[m.nspname::text, p.relname::text] FROM up
        JOIN pg_catalog.pg_class p ON p.oid = up.oid
        JOIN pg_catalog.pg_namespace m ON m.oid = p.relnamespace
        ORDER BY up.height DESC LIMIT 1) AS root,
       (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
          'name', x.relname, 'unique', i.indisunique,
          'plain', i.indisvalid AND i.indpred IS NULL AND a.amname = 'btree',
          'keys', ARRAY(SELECT coalesce(t.attname::text, '') FROM
             pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY k (num, place)
             LEFT JOIN pg_catalog.pg_attribute t ON t.attrelid = c.oid AND t.attnum = k.num
               AND k.num > 0
             WHERE k.place <= i.indnkeyatts ORDER BY k.place)))
        FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
        JOIN pg_catalog.pg_am a ON a.oid = x.relam WHERE i.indrelid = c.oid) AS indexes,
       (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
          'name', s.attname, 'distinct', s.n_distinct, 'nulls', s.null_frac,
          'width', s.avg_width))
        FROM pg_catalog.pg_stats s
        WHERE s.schemaname = n.nspname AND s.tablename = c.relname) AS columns
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = ANY(%(names)s) AND EXISTS (
    SELECT FROM pg_catalog.generate_subscripts(%(names)s::text[], 1) i
    WHERE (%(names)s::text[])[i] = c.relname AND (%(schemas)s::text[])[i] = n.nspname)
  AND c.relkind IN ('r', 'p', 'm') AND c.oid >= 16384
LIMIT 40
"""

# The columns of each foreign key that refers to a table, where no index begins with them.
_REFERRING = """
SELECT n.nspname::text AS schema, c.relname::text AS name,
       ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(f.conkey) k (num)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.num) AS columns
FROM pg_catalog.pg_constraint f
JOIN pg_catalog.pg_class c ON c.oid = f.conrelid AND c.relkind = 'r' AND c.relpages >= 100
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class p ON p.oid = f.confrelid
JOIN pg_catalog.pg_namespace m ON m.oid = p.relnamespace
WHERE f.contype = 'f' AND p.relname = %(name)s AND m.nspname = %(schema)s AND NOT EXISTS (
  SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisvalid
    AND i.indpred IS NULL AND i.indkey[0] = ANY(f.conkey))
ORDER BY c.relpages DESC LIMIT 3
"""

Names = Iterable[tuple[str, str]]


async def relations(own: Own, names: Names) -> dict[tuple[str, str], Relation]:
    """The tables of these names, (schema, name)."""
    wanted = sorted(set(names))
    if not wanted:
        return {}
    values = {"schemas": [s for s, _ in wanted], "names": [n for _, n in wanted]}
    return {(r["schema"], r["name"]): _relation(r) for r in await own.rows(_TABLES, values)}


def of_plan(plan: Plan) -> set[tuple[str, str]]:
    """The tables that a verbose plan reads."""
    return {(n.text("Schema"), n.relation) for n in plan.nodes if n.relation}


def _relation(row: dict[str, Any]) -> Relation:
    columns = {
        c["name"]: Column(float(c["distinct"]), float(c["nulls"]), int(c["width"]))
        for c in row["columns"] or ()
    }
    indexes = tuple(
        Index(i["name"], tuple(i["keys"]), bool(i["plain"]), bool(i["unique"]))
        for i in row["indexes"] or ()
    )
    return Relation(
        schema=row["schema"],
        name=row["name"],
        rows=row["rows"],
        pages=row["pages"],
        writes=int(row["writes"]),
        locked=row["locked"],
        root=tuple(row["root"]) if row["root"] else None,
        indexes=indexes,
        columns=columns,
    )


async def referring(own: Own, plan: Plan) -> list[tuple[str, str, tuple[str, ...]]]:
    """For a DELETE: (schema, table, columns) of foreign keys that each deleted row searches."""
    change = next((n for n in plan.nodes if n.text("Operation") == "Delete"), None)
    if change is None:
        return []
    values = {"schema": change.text("Schema"), "name": change.relation}
    rows = await own.rows(_REFERRING, values)
    return [(r["schema"], r["name"], tuple(r["columns"])) for r in rows]
