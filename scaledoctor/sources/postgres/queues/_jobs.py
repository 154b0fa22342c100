"""Counting the jobs of one table: bounded in what is read, by state and queue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scaledoctor.sdk import Unavailable
from scaledoctor.sources.postgres.queues._family import Family, Part
from scaledoctor.sources.postgres.queues._pgmq import PREFIX
from scaledoctor.sources.postgres.queues.tables import QueueTable, QueueTables
from scaledoctor.sources.postgres.session import PostgresSession
from scaledoctor.sql import identifier, literal

MOST = 10_000
"""Jobs counted in one state; some 5 ms, whatever there is beyond."""

LARGE_PAGES, LARGE_ROWS = 4096, 200_000
"""A table above either (32 MB) is read only by its indexes."""

MOST_NAMES = 200
"""Queues told apart in one table, the fullest first."""


@dataclass(slots=True)
class Count:
    """Jobs of one kind in one queue: how many, the oldest one's age, and whether there are more.

    ``undated`` is the id of the first of those without a time of their own.
    """

    jobs: int = 0
    age: float | None = None
    more: bool = False
    undated: int | None = None


@dataclass(frozen=True, slots=True)
class Jobs:
    """One table's jobs by queue and kind; ``known`` are the kinds that could be counted."""

    known: frozenset[str]
    counts: Mapping[str, Mapping[str, Count]] = field(default_factory=dict)


async def count(
    pg: PostgresSession, family: Family, table: QueueTable, tables: QueueTables, mark: int | None
) -> Jobs:
    """Count in one statement; jobs above ``mark`` are counted as ``arrived``.

    Raises:
        Unavailable: no index leads to what waits, or the server says no.

    """
    large = table.pages > LARGE_PAGES or table.live + table.dead > LARGE_ROWS
    parts = [p for p in family.parts if not large or _led(p, table)]
    parts = [p for p in parts if readable(p.needs, table, tables)]
    if family.parts[0] not in parts:
        raise Unavailable(*_why(family, table, large=large))
    if mark is not None:
        parts.append(Part("'arrived'", f"{family.id} > {mark}"))
    query = _statement(family, table, parts)
    rows = await _rows(pg, query, table, by_index=large)
    left_out = {word for p in family.parts if p not in parts for word in _kinds(p)}
    known = {word for part in parts for word in _kinds(part)} - left_out
    found: dict[str, dict[str, Count]] = {}
    full = {row["part"] for row in rows if row["taken"] > MOST}
    for row in rows:
        kinds = found.setdefault(row["queue"], {})
        kinds[row["kind"]] = Count(row["jobs"], row["age"], row["part"] in full, row["undated"])
    return Jobs(frozenset(known), found)


async def _rows(
    pg: PostgresSession, query: str, table: QueueTable, *, by_index: bool
) -> list[dict[str, Any]]:
    """Run the statement; a library's next version may name or type its columns otherwise."""
    import psycopg

    try:
        return await pg.rows(query, grant=grant(table), by_index=by_index)
    except psycopg.ProgrammingError as error:
        line = pg.redactor.text(str(error).partition("\n")[0])
        raise Unavailable(f"{table.label} is of a version that is not known: {line}") from None


def grant(table: QueueTable) -> str:
    """What lets this role read the table; ``{role}`` is its name."""
    schema = identifier(table.schema)
    return (
        f"GRANT USAGE ON SCHEMA {schema} TO {{role}}; GRANT SELECT ON {table.quoted} TO {{role}};"
    )


def _why(family: Family, table: QueueTable, *, large: bool) -> tuple[str, str]:
    if large and not _led(family.parts[0], table):
        columns = " or ".join(family.parts[0].index)
        return f"{table.label} is large and no index of it leads with {columns}", (
            f"see the indexes that {family.system} makes, and make them again"
        )
    needs = ", ".join(f"{table.schema}.{name}" for name in family.parts[0].needs)
    return (
        f"the tables beside {table.label} cannot be read",
        f"GRANT SELECT ON {needs} TO {{role}};",
    )


def _led(part: Part, table: QueueTable) -> bool:
    return not part.index or any(column in table.leading for column in part.index)


def readable(names: Sequence[str], table: QueueTable, tables: QueueTables) -> bool:
    """Whether all these tables beside that one are there, and for us to read."""
    found = [tables.find(table.schema, name) for name in names]
    return all(t is not None and t.readable and not t.hidden and not t.locked for t in found)


def _kinds(part: Part) -> list[str]:
    """The names in its expression, which are quoted words of ours."""
    known = ("ready", "in_flight", "scheduled", "retrying", "dead", "stuck", "arrived")
    return [word for word in known if f"'{word}'" in part.kind]


def _statement(family: Family, table: QueueTable, parts: Sequence[Part]) -> str:
    """The parts behind each other, each read to its limit; then their sums."""
    undated = f"{family.id}::bigint" if family.dated else "NULL::bigint"
    selects = (
        f"(SELECT {number} AS part, left({family.queue}::text, 200) AS queue, {part.kind} AS kind, "
        f"extract(epoch FROM {part.since}) AS since, {undated} AS id "
        f"FROM {part.source or '{table} j'} WHERE {part.where} LIMIT {MOST + 1})"
        for number, part in enumerate(parts)
    )
    jobs = " UNION ALL ".join(selects).format(
        schema=identifier(table.schema),
        table=table.quoted,
        name=literal(table.name.removeprefix(PREFIX)),
    )
    return (
        f"WITH jobs AS MATERIALIZED ({jobs}), sizes AS (SELECT part, count(*) AS taken FROM jobs "
        "GROUP BY part) SELECT part, taken, queue, kind, count(*) AS jobs, "
        "extract(epoch FROM clock_timestamp())::float8 - min(since)::float8 AS age, "
        "min(id) FILTER (WHERE since IS NULL) AS undated FROM jobs JOIN sizes USING (part) "
        "WHERE kind IS NOT NULL GROUP BY part, taken, queue, kind "
        f"ORDER BY count(*) DESC LIMIT {5 * MOST_NAMES}"
    )


async def highest(pg: PostgresSession, family: Family, table: QueueTable) -> int:
    """The highest id in the table, by its primary key."""
    column = family.id.removeprefix("j.")
    query = f"SELECT coalesce(max(j.{column}), 0)::bigint AS id FROM {table.quoted} j"
    rows = await _rows(pg, query, table, by_index=False)
    return int(rows[0]["id"])


async def rows_of(
    pg: PostgresSession, query: str, table: QueueTable, parameters: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Run one of a family's other statements.

    Raises:
        Unavailable: the server says no, or a table is of a version that is not known.

    """
    import psycopg

    try:
        return await pg.rows(query.format(schema=identifier(table.schema)), parameters)
    except psycopg.ProgrammingError as error:
        raise Unavailable(pg.redactor.text(str(error).partition("\n")[0])) from None
