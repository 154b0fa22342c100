"""Take the plans of the recipes again: ``python -m tests.plans.capture``; it starts its servers."""

import json
from pathlib import Path
from typing import Any

import psycopg

from scaledoctor.demo.servers import find_postgres, postgres
from tests.plans.recipes import RECIPES, SETUP

FOLDER = Path(__file__).parent / "captured"


def main() -> None:
    """Capture each problem and its twin as JSON and as TEXT, on every version that is here."""
    for binaries in find_postgres():
        with (
            postgres(bindir=binaries.bindir, settings={"fsync": "off"}) as server,
            psycopg.connect(server.dsn(), autocommit=True) as connection,
        ):
            prepare(connection)
            (can_jit,) = connection.execute("SELECT pg_jit_available()").fetchone() or (False,)
            for number, recipe in enumerate(RECIPES):
                if recipe.problem == "jit-overhead" and not can_jit:
                    continue
                name = f"{number:02}-{recipe.problem}"
                take(connection, recipe.bad, recipe.settings, server.major, f"{name}.bad")
                cured = (*recipe.settings, *recipe.cure)
                take(connection, recipe.good, cured, server.major, f"{name}.good")


def prepare(connection: "psycopg.Connection[Any]") -> None:
    """Make the tables; a line that gives statements has them executed."""
    for line in SETUP.strip().splitlines():
        cursor = connection.execute(line.encode())
        if line.startswith("SELECT"):
            for (statement,) in cursor.fetchall():
                connection.execute(statement.encode())


def take(
    connection: "psycopg.Connection[Any]",
    query: str,
    settings: tuple[str, ...],
    major: int,
    name: str,
) -> None:
    """Run a statement warm, once for each format, and take it back."""
    query = query.replace("{many}", ", ".join(map(str, range(600))))
    folder = FOLDER / str(major)
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    with connection.transaction(force_rollback=True):
        for setting in settings:
            connection.execute(f"SET LOCAL {setting}".encode())
        for form in ("JSON", "JSON", "TEXT"):
            with connection.transaction(force_rollback=True):
                options = f"ANALYZE, BUFFERS, VERBOSE, FORMAT {form}"
                found[form] = connection.execute(f"EXPLAIN ({options}) {query}".encode()).fetchall()
    document = json.dumps(found["JSON"][0][0], indent=1)
    (folder / f"{name}.json").write_text(document + "\n", encoding="utf-8")
    lines = "\n".join(line for (line,) in found["TEXT"])
    (folder / f"{name}.txt").write_text(lines + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
