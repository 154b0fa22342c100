"""The databases that PgBouncer knows: where they are, their sizes and caps."""

from collections.abc import Sequence
from dataclasses import dataclass

from scaledoctor.sdk import fact, probe
from scaledoctor.sources.pgbouncer._connect import CONSOLE
from scaledoctor.sources.pgbouncer.session import PgBouncerSession, Row, number, word

MOST = 500
"""Databases kept; those that are defined by ``*`` appear once they were used."""


@dataclass(frozen=True, slots=True)
class PoolerDatabase:
    """One database: ``name`` is the clients', ``real`` PostgreSQL's, ``forced`` the only user.

    Sizes are the effective ones: PgBouncer fills in its defaults. ``cap`` is max_db_connections,
    0 without one. ``mode`` is empty when it is the global one.
    """

    name: str
    host: str
    port: int
    real: str
    forced: str
    size: int
    reserve: int
    cap: int
    mode: str
    paused: bool
    disabled: bool


@fact
@dataclass(frozen=True, slots=True)
class PoolerDatabases:
    """All databases but the console's; ``stopped`` by a PAUSE without a name (1.19+)."""

    databases: tuple[PoolerDatabase, ...]
    stopped: bool = False

    def named(self, name: str) -> PoolerDatabase | None:
        """The database of that name."""
        return next((d for d in self.databases if d.name == name), None)


@probe(cost="SHOW DATABASES and SHOW STATE, < 1 ms")
async def pooler_databases(console: PgBouncerSession) -> PoolerDatabases:
    """Read SHOW DATABASES, and from 1.19 on whether everything is paused."""
    state = await console.show("STATE") if console.version >= (1, 19, 0) else []
    return databases_of(await console.show("DATABASES"), state)


def databases_of(rows: Sequence[Row], state: Sequence[Row] = ()) -> PoolerDatabases:
    """Return the databases of any version's SHOW DATABASES.

    PAUSE without a name stops all of them, which only SHOW STATE tells.
    """
    wanted = [row for row in rows if row.get("name") != CONSOLE]
    return PoolerDatabases(
        databases=tuple(map(_database, wanted[:MOST])),
        stopped=any(word(row, "key") == "paused" and word(row, "value") == "yes" for row in state),
    )


def _database(row: Row) -> PoolerDatabase:
    return PoolerDatabase(
        name=word(row, "name"),
        host=word(row, "host"),
        port=number(row, "port"),
        real=word(row, "database"),
        forced=word(row, "force_user"),
        size=number(row, "pool_size"),
        reserve=number(row, "reserve_pool_size", "reserve_pool"),  # renamed in 1.24
        cap=number(row, "max_connections"),
        mode=word(row, "pool_mode"),
        paused=bool(number(row, "paused")),
        disabled=bool(number(row, "disabled")),
    )
