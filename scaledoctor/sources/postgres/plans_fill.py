"""Values for a statement's placeholders, drawn from the planner's own statistics.

They are needed because a plan for unknown values may be another one than the statement gets. They
are never stored or shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scaledoctor.sources.postgres.plans_own import PLAN_MS, Own
from scaledoctor.sql import literal
from scaledoctor.sql.parameters import Parameter, fill, parameters

_INTEGERS = ("bigint", "integer", "smallint", "oid")
_NUMBERS = ("numeric", "double precision", "real")
_DEFAULTS = {
    "boolean": "true", "timestamp with time zone": "'2025-01-01'", "date": "'2025-01-01'",
    "timestamp without time zone": "'2025-01-01'", "interval": "'1 day'", "jsonb": "'{}'",
    "json": "'{}'", "uuid": "'00000000-0000-0000-0000-000000000000'", "time": "'00:00'",
}  # fmt: skip

_STATISTICS = """
SELECT s.schemaname::text AS schema, s.tablename::text AS name, s.attname::text AS attribute,
       s.most_common_vals::text::text[] AS common, s.histogram_bounds::text::text[] AS bounds
FROM pg_catalog.pg_stats s WHERE s.tablename = ANY(%(tables)s) AND s.attname = ANY(%(columns)s)
"""


@dataclass(frozen=True, slots=True)
class Filled:
    """A statement with values: common ones or rare ones, as (schema, table, column) has them."""

    statement: str
    binding: str


async def filled(own: Own, statement: str) -> tuple[Filled, ...]:
    """The statement with common and with rare values, bare and with their type spelt out.

    Empty where the server cannot tell the parameters' types.
    """
    types = await _types(own, statement)
    if not types:
        return ()
    uses = parameters(statement)
    rows = await _statistics(own, list(uses.values()))
    found: list[Filled] = []
    for binding in ("common", "rare"):
        for typed in (False, True):
            values = {
                n: _value(uses.get(n), kind, rows, binding, typed=typed)
                for n, kind in enumerate(types, 1)
            }
            found.append(Filled(fill(statement, values), binding))
    return tuple(dict.fromkeys(found))


async def _types(own: Own, statement: str) -> list[str]:
    """The parameters' types as the server infers them; empty where it cannot."""
    import psycopg

    try:
        async with own.guarded(PLAN_MS):
            await own.connection.execute(f"PREPARE scaledoctor_types AS {statement}".encode())
            cursor = await own.connection.execute(
                b"SELECT parameter_types::text[] AS types FROM pg_catalog.pg_prepared_statements "
                b"WHERE name = 'scaledoctor_types'"
            )
            (row,) = await cursor.fetchall()
    except psycopg.Error:
        return []
    finally:
        if not own.connection.closed:
            await own.connection.execute(b"DEALLOCATE ALL")
    return list(row["types"])


async def _statistics(own: Own, uses: Sequence[Parameter]) -> list[dict[str, Any]]:
    tables = {name for use in uses for _, name in use.tables}
    columns = {use.column for use in uses if use.column}
    if not columns:
        return []
    return await own.rows(_STATISTICS, {"tables": sorted(tables), "columns": sorted(columns)})


def _value(
    use: Parameter | None,
    kind: str,
    rows: Sequence[Mapping[str, Any]],
    binding: str,
    *,
    typed: bool,
) -> str:
    """SQL of one value; an array gets one element."""
    base = kind.removesuffix("[]")
    plain = _sampled(use, rows, binding)
    if use and use.kind in ("limit", "offset"):
        plain = "10" if use.kind == "limit" else "0"
    if plain is None:
        text = _DEFAULTS.get(base, "1" if base in _INTEGERS + _NUMBERS else "'a'")
    elif use and use.kind == "pattern":
        text = literal(plain[:3] + "%")
    elif base in _INTEGERS and plain.lstrip("-").isdigit():
        text = plain
    else:
        text = literal(plain)
    if kind.endswith("[]"):
        return f"ARRAY[{text}]::{kind}"
    return f"{text}::{kind}" if typed else text


def _sampled(use: Parameter | None, rows: Sequence[Mapping[str, Any]], binding: str) -> str | None:
    """A value of the column: the most common one, or one of few; for a range, a wide or narrow one.

    None without statistics.
    """
    if use is None or not use.column:
        return None
    for schema, table in use.tables:
        for row in rows:
            if row["attribute"] == use.column and row["name"] == table and schema in (
                "", row["schema"]
            ):  # fmt: skip
                return _pick(use.kind, row["common"] or [], row["bounds"] or [], binding)
    return None


def _pick(kind: str, common: list[str], bounds: list[str], binding: str) -> str | None:
    ordered = bounds or common
    if not ordered:
        return None
    if kind in ("low", "high") and len(ordered) > 1:
        wide = ordered[0] if kind == "low" else ordered[-1]
        narrow = ordered[-2] if kind == "low" else ordered[-1] if bounds else ordered[1]
        return wide if binding == "common" else narrow
    if binding == "common":
        return (common or bounds)[0]
    return bounds[len(bounds) // 2] if bounds else common[-1]
