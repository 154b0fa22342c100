"""Plans: read and judged by the second, and what asking for those of 20 statements costs."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import psycopg

from scaledoctor.demo.servers import find_postgres, postgres
from scaledoctor.plans.judge import judge
from scaledoctor.plans.read import read_plan
from scaledoctor.sources.postgres.plans_index import advised, hypothetical
from scaledoctor.sources.postgres.plans_ladder import Rung, climb
from scaledoctor.sources.postgres.plans_own import own

FOLDER = Path(__file__).parents[1] / "tests" / "plans" / "captured"
T = TypeVar("T")

SECONDS = 2.0
STATEMENTS = 20

SETUP = """
CREATE EXTENSION IF NOT EXISTS pg_stat_statements
CREATE TABLE facts AS SELECT i AS id, i % 9000 AS a, i % 700 AS b, i % 31 AS c, now() - i * interval '1 minute' AS at, 'n' || i AS note FROM generate_series(1, 300000) i
CREATE TABLE names AS SELECT i AS id, 'x' || i AS name FROM generate_series(1, 9000) i
VACUUM ANALYZE
"""  # noqa: E501  one statement a line

SHAPES = (
    "SELECT * FROM facts WHERE a = {n}",
    "SELECT count(*) FROM facts WHERE b = {n} AND c = 3",
    "SELECT * FROM facts WHERE b = {n} ORDER BY at DESC LIMIT 5",
    "SELECT f.* FROM facts f JOIN names n ON n.id = f.a WHERE n.name = 'x{n}'",
)


def rate(work: Callable[[], object]) -> float:
    """Times a second of CPU time."""
    began, count = time.process_time(), 0
    while (spent := time.process_time() - began) < SECONDS:
        work()
        count += 1
    return count / spent


def reading() -> None:
    """Print plans and megabytes for each CPU second, beside json.loads of the same text."""
    for suffix in ("json", "txt"):
        texts = [p.read_text(encoding="utf-8") for p in sorted(FOLDER.rglob(f"*.{suffix}"))]
        size = sum(map(len, texts)) / 1e6
        plans = [read_plan(text) for text in texts]
        cases: dict[str, Callable[[], object]] = {
            "read": partial(each, read_plan, texts),
            "judge": partial(each, judge, plans),
        }
        if suffix == "json":
            cases["  json.loads alone"] = partial(each, json.loads, texts)
        for name, work in cases.items():
            many = rate(work)
            row(
                f"{name}, {suffix}", f"{many * len(texts):,.0f} plans/s", f"{many * size:,.1f} MB/s"
            )


def each(work: Callable[[T], object], items: Sequence[T]) -> list[object]:
    """Do something with each of them."""
    return [work(item) for item in items]


def row(*cells: str) -> None:
    """One line of the table."""
    print(f"{cells[0]:28} {cells[1]:>18} {cells[2]:>16}")


async def climbing(dsn: str, statements: list[tuple[str, str]]) -> tuple[int, int, float, str]:
    """Plans proved, indexes found, seconds, and whether HypoPG tried them."""
    began = time.monotonic()
    async with own(dsn, 60.0) as connection:
        hypopg = await hypothetical(connection)
        rungs: list[Rung] = [await climb(connection, sql, i) for i, sql in statements]
        trials = [await advised(connection, rung, (), hypopg) for rung in rungs]
    seconds = time.monotonic() - began
    proved = sum(rung.proved for rung in rungs)
    return proved, sum(map(len, trials)), seconds, "HypoPG" if hypopg else "estimated"


def ladder() -> None:
    """Print what 20 plans with their indexes take on each version."""
    for binaries in find_postgres():
        with postgres(bindir=binaries.bindir, settings={"fsync": "off"}) as server:
            with psycopg.connect(server.dsn(), autocommit=True) as connection:
                for line in SETUP.strip().splitlines():
                    connection.execute(line.encode())
                if server.major == 15:
                    connection.execute("CREATE EXTENSION hypopg")
                connection.execute("SELECT pg_stat_statements_reset()")
                for shape in SHAPES:
                    connection.execute(shape.format(n=77).encode())
                found = connection.execute(
                    "SELECT queryid::text, query FROM pg_stat_statements WHERE query ~ 'facts'"
                ).fetchall()
            many = [(str(i), str(sql)) for i, sql in found] * (STATEMENTS // len(SHAPES))
            proved, indexes, seconds, how = asyncio.run(climbing(server.dsn(), many))
            told = f"{proved} proved, {indexes} indexes ({how})"
            print(f"PostgreSQL {server.major}: {len(many)} statements, {told}, {seconds:.2f} s")


if __name__ == "__main__":
    reading()
    ladder()
