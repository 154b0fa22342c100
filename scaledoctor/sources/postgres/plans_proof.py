"""The proof, by the catalogue, that running a statement changes nothing.

Whatever cannot be resolved or is not PostgreSQL's own is refused: a refusal costs a measured plan,
a mistake would cost somebody's data.
"""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

from scaledoctor.plans.tree import Plan
from scaledoctor.sources.postgres.plans_own import Own
from scaledoctor.sql.safety import Inspection

HARMLESS = frozenset({"random", "clock_timestamp", "timeofday", "gen_random_uuid"})
"""Builtins that are volatile and change nothing."""

HARMFUL = re.compile(
    r"^(?:txid_current|pg_current_xact_id)$|_to_xml|^xmltable$|^(?:query|cursor|table|schema"
    r"|database)_to_|^ts_(?:stat|rewrite)$|^pg_(?:read|ls|stat_file|logical|replication|export"
    r"|advisory|try_advisory|notify|sleep|terminate|cancel|reload|rotate|switch|create|drop|promote"
    r"|wal_replay|backup|start|stop)|^(?:repeat|lpad|rpad)$|^lo_|^loread$|^lowrite$|^dblink"
)
"""Builtins refused whatever the catalogue calls them: some are stable and run other queries,
take a transaction id or as much memory as they are told."""

EXTENSIONS = (
    "pg_trgm", "citext", "ltree", "hstore", "postgis", "vector", "btree_gist", "btree_gin",
    "intarray", "unaccent", "uuid-ossp", "fuzzystrmatch", "cube", "earthdistance", "isn",
)  # fmt: skip
"""Extensions whose functions that are not volatile only compute."""

MODES = ("AccessExclusiveLock", "ExclusiveLock", "ShareRowExclusiveLock", "ShareLock")
"""Locks in whose way even planning may stand: EXPLAIN of an UPDATE takes RowExclusiveLock."""

_FIRST_OID = 16384
"""What initdb makes is below (FirstNormalObjectId); all that anybody made is above."""

_OURS = """
WITH allowed AS (
  SELECT d.classid, d.objid FROM pg_catalog.pg_depend d
  JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = ANY(%(extensions)s)
  WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e')
"""

_FUNCTIONS = (
    _OURS
    + """
SELECT p.proname::text AS name, p.provolatile::text AS volatile, p.oid >= %(first)s AS made,
       (SELECT l.lanname FROM pg_catalog.pg_language l WHERE l.oid = p.prolang)::text AS language,
       EXISTS (SELECT FROM allowed a WHERE a.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
               AND a.objid = p.oid) AS allowed
FROM pg_catalog.pg_proc p WHERE p.proname = ANY(%(names)s)
"""
)

_OTHERS = (
    _OURS
    + """
SELECT 'operator ' || o.oprname AS name FROM pg_catalog.pg_operator o
WHERE o.oprname = ANY(%(operators)s) AND o.oid >= %(first)s AND NOT EXISTS (
  SELECT FROM allowed a WHERE a.classid = 'pg_catalog.pg_operator'::pg_catalog.regclass
  AND a.objid = o.oid)
UNION ALL
SELECT 'type ' || t.typname FROM pg_catalog.pg_type t
WHERE t.typname = ANY(%(types)s) AND t.oid >= %(first)s AND t.typtype <> 'e' AND NOT EXISTS (
  SELECT FROM allowed a WHERE a.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
  AND a.objid = t.oid)
UNION ALL
SELECT 'a cast by ' || c.castfunc::pg_catalog.regproc FROM pg_catalog.pg_cast c
WHERE c.castfunc >= %(first)s AND NOT EXISTS (
  SELECT FROM allowed a WHERE a.classid = 'pg_catalog.pg_cast'::pg_catalog.regclass
  AND a.objid = c.oid)
"""
)

# All relations of a name, whatever the search_path, and what their views read.
_RELATIONS = (
    """
WITH RECURSIVE seen AS (
  SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relname = ANY(%(names)s)
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
  UNION
  SELECT below.oid FROM seen s, LATERAL (
    SELECT d.refobjid AS oid FROM pg_catalog.pg_rewrite r
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
     AND d.objid = r.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    WHERE r.ev_class = s.oid
    UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = s.oid) below
)"""
    + _OURS.replace("WITH allowed", ", allowed")
    + """
SELECT c.relname::text AS name, c.relkind::text AS kind, c.relpersistence::text AS persistence,
       c.relrowsecurity AS policies, c.oid < %(first)s AS builtin,
       EXISTS (SELECT FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_depend d
               ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
               WHERE r.ev_class = c.oid AND c.oid >= %(first)s AND d.refobjid >= %(first)s
               AND d.refclassid IN ('pg_catalog.pg_proc'::pg_catalog.regclass,
                                    'pg_catalog.pg_operator'::pg_catalog.regclass)) AS hides,
       EXISTS (SELECT FROM pg_catalog.pg_attribute t JOIN pg_catalog.pg_type y ON y.oid = t.atttypid
               WHERE t.attrelid = c.oid AND t.attnum > 0 AND y.oid >= %(first)s
               AND y.typtype NOT IN ('e', 'd') AND y.typcategory <> 'A' AND NOT EXISTS (
                 SELECT FROM allowed a WHERE a.objid = y.oid
                 AND a.classid = 'pg_catalog.pg_type'::pg_catalog.regclass)) AS odd,
       EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.mode = ANY(%(modes)s)
               AND l.locktype = 'relation'
               AND (l.relation = c.oid OR l.relation IN (
                 SELECT x.indexrelid FROM pg_catalog.pg_index x WHERE x.indrelid = c.oid)))
         AS locked
FROM seen s JOIN pg_catalog.pg_class c ON c.oid = s.oid
"""
)


async def refusals(own: Own, parts: Inspection) -> tuple[str, ...]:
    """Why the statement may not be run; empty when the catalogue proves it harmless."""
    found = list(parts.reasons)
    if parts.parameters:
        found.append("it has parameters without a value")
    if not found:
        names = {name for _, name in parts.functions} | parts.columns
        called = {name for _, name in parts.functions}
        found += [reason async for reason in _of_functions(own, names, called)]
        found += [reason async for reason in _of_others(own, parts)]
        found += [reason async for reason in _of_relations(own, parts)]
    return tuple(dict.fromkeys(found))


async def planning_refusals(own: Own, parts: Inspection) -> tuple[str, ...]:
    """Why not even plain EXPLAIN may be asked for it.

    The planner runs functions that are not volatile, and it waits for exclusive locks.
    """
    names = {name for _, name in parts.functions} | parts.columns
    values = {"names": sorted(names), "first": _FIRST_OID, "extensions": list(EXTENSIONS)}
    found = [
        f"the planner might run function {row['name']}, which is not PostgreSQL's own"
        for row in await own.rows(_FUNCTIONS, values)
        if row["made"]
        and not row["allowed"]
        and row["volatile"] != "v"
        and row["language"] != "sql"
    ]
    values["names"] = sorted(name for _, name in parts.relations)
    values["modes"] = list(MODES)
    locked = [row["name"] for row in await own.rows(_RELATIONS, values) if row["locked"]]
    return (*found, *(f"{name} is locked exclusively" for name in locked))


async def _of_functions(own: Own, names: set[str], called: set[str]) -> AsyncIterator[str]:
    found = await own.rows(
        _FUNCTIONS, {"names": sorted(names), "first": _FIRST_OID, "extensions": list(EXTENSIONS)}
    )
    for name in sorted(called - {row["name"] for row in found}):
        yield f"function {name} is not known"
    for row in found:
        if reason := _function(row):
            yield reason


def _function(row: dict[str, Any]) -> str:
    name = row["name"]
    if row["made"] and not row["allowed"]:
        return f"function {name} is not PostgreSQL's own"
    if HARMFUL.search(name):
        return f"function {name} can do harm"
    if row["volatile"] == "v" and name not in HARMLESS:
        return f"function {name} is volatile"
    return ""


async def _of_others(own: Own, parts: Inspection) -> AsyncIterator[str]:
    found = await own.rows(
        _OTHERS,
        {
            "operators": sorted(parts.operators),
            "types": sorted(name for _, name in parts.types),
            "first": _FIRST_OID,
            "extensions": list(EXTENSIONS),
        },
    )
    for row in found:
        yield f"{row['name']} is not PostgreSQL's own"


async def _of_relations(own: Own, parts: Inspection) -> AsyncIterator[str]:
    names = sorted(name for _, name in parts.relations)
    values = {
        "names": names,
        "first": _FIRST_OID,
        "extensions": list(EXTENSIONS),
        "modes": list(MODES),
    }
    for row in await own.rows(_RELATIONS, values):
        for reason in _relation(row):
            yield f"{row['name']} {reason}"


def _relation(row: dict[str, Any]) -> Iterator[str]:
    kinds = {"f": "is a foreign table", "S": "is a sequence", "c": "is a type"}
    if row["kind"] in kinds:
        yield kinds[row["kind"]]
    if row["builtin"]:
        if row["kind"] == "v":
            yield "is a view of the system"
        return
    if row["persistence"] == "t":
        yield "is a temporary table"
    if row["policies"]:
        yield "has row level security, whose policies may call anything"
    if row["hides"]:
        yield "is a view with functions or operators that are not PostgreSQL's own"
    if row["odd"]:
        yield "has columns of types that are not PostgreSQL's own"
    if row["locked"]:
        yield "is locked exclusively, or somebody waits to lock it so"


_CALL = re.compile(r'(?:"((?:[^"]|"")+)"|([A-Za-z_][\w$]*))\s*\(')
_WORDS = frozenset({
    "and", "or", "not", "any", "all", "in", "row", "array", "case", "when", "then", "else",
    "is", "between", "numeric", "varchar", "character varying", "varying", "bit", "interval",
    "timestamp", "time", "operator", "distinct", "from", "precision", "subplan", "hashed",
    "returns", "exists", "by", "over", "filter", "within", "group", "values", "cast", "decimal",
    "char", "bpchar", "character", "zone", "float",
})  # fmt: skip
_FORBIDDEN = ("ModifyTable", "LockRows", "Foreign Scan", "Custom Scan")


async def hidden(own: Own, plan: Plan) -> tuple[str, ...]:
    """What the plan would call that the statement does not show: the second net.

    ``plan`` is a verbose one, so that it has the functions of views and of attribute notation.
    """
    found = [f"its plan has a {n.kind}" for n in plan.nodes if n.kind in _FORBIDDEN]
    calls: set[str] = set()
    for node in plan.nodes:
        for key in node.details:
            text = re.sub(r"'(?:[^']|'')*'", "''", node.text(key))
            if "OPERATOR(" in text:
                found.append("its plan has an operator that is not PostgreSQL's own")
            for quoted, plain in _CALL.findall(text):
                calls.add(quoted.replace('""', '"') or plain.lower())
    names = {c for c in calls if c not in _WORDS}
    found += [reason async for reason in _of_functions(own, names, set())]
    return tuple(dict.fromkeys(found))
