"""A connection of its own for plans: read-only, under every time-out, closed after its use."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from scaledoctor.errors import Unavailable
from scaledoctor.sources.postgres._connect import _read_leniently
from scaledoctor.sources.postgres._wire import tagged

if TYPE_CHECKING:
    from psycopg import AsyncConnection

LOCK_MS = 100
"""Milliseconds that a plan may wait for a lock; the manual's lock_timeout counts each lock."""

PLAN_MS = 1000
"""Milliseconds that planning one statement may take."""

RUN_MS = 5000
"""Milliseconds that a statement may run for EXPLAIN ANALYZE."""


@dataclass
class Own:
    """The connection; ``until`` is when, by the monotonic clock, no further query is begun."""

    connection: "AsyncConnection[dict[str, Any]]"
    version: int
    until: float

    @property
    def left(self) -> float:
        """Seconds left of the budget."""
        return self.until - monotonic()

    async def rows(
        self, query: str, parameters: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Run one query of ours on the catalogue in a guarded transaction of its own."""
        async with self.guarded(PLAN_MS):
            cursor = await self.connection.execute(tagged(query), parameters)
            return await cursor.fetchall()

    @asynccontextmanager
    async def guarded(self, milliseconds: int) -> AsyncIterator[None]:
        """A read-only transaction under every time-out that ends with a rollback.

        Raises:
            Unavailable: the budget is used up.
        """
        if self.left <= 0:
            raise Unavailable("the time for plans is used up")
        milliseconds = max(1, min(milliseconds, round(self.left * 1000)))
        limits = {
            "statement_timeout": milliseconds,
            "lock_timeout": LOCK_MS,
            "idle_in_transaction_session_timeout": 5000,
        }
        if self.version >= 170000:
            limits["transaction_timeout"] = 4 * milliseconds + 1000
        await self.connection.execute(b"BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY")
        try:
            for name, value in limits.items():
                await self.connection.execute(f"SET LOCAL {name} = {value}".encode())
            yield
        finally:
            if not self.connection.closed:
                await self.connection.execute(b"ROLLBACK")

    async def explain(
        self, statement: str, options: str, *, milliseconds: int = PLAN_MS, before: str = ""
    ) -> dict[str, Any]:
        """EXPLAIN one statement as JSON; ``before`` sets something for this plan alone.

        The server itself refuses more than one statement: but for GENERIC_PLAN, which takes the
        simple protocol only, so that whoever calls must have counted them.
        """
        query = f"EXPLAIN ({options}, FORMAT JSON) {statement}"
        async with self.guarded(milliseconds):
            if before:
                await self.connection.execute(before.encode())
            extended = "GENERIC_PLAN" not in options
            cursor = await self.connection.execute(tagged(query), binary=extended)
            (row,) = await cursor.fetchall()
        (plan,) = row.values()
        found: dict[str, Any] = plan[0]
        return found


@asynccontextmanager
async def own(dsn: str, seconds: float) -> AsyncIterator[Own]:
    """Open it for at most ``seconds``; whatever a statement took in its session goes with it.

    Raises:
        psycopg.Error: the server does not let us in.
    """
    import psycopg
    from psycopg.rows import dict_row

    connection = await psycopg.AsyncConnection[dict[str, Any]].connect(
        dsn,
        autocommit=True,
        prepare_threshold=None,
        row_factory=dict_row,
        connect_timeout=3,
        application_name="scaledoctor",
    )
    _read_leniently(connection)
    try:
        yield Own(connection, connection.info.server_version, monotonic() + seconds)
    finally:
        await connection.close()
