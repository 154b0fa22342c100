"""One statement at a time on one connection, none of them waited for without end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

from scaledoctor.errors import Unavailable

if TYPE_CHECKING:
    from asyncio import Task

    from psycopg import AsyncConnection

PATIENCE = 3.0
"""Seconds to an answer; above the 2 s statement_timeout, so that the server gives up before us."""

TAG = "/* scaledoctor */"
"""In every statement of ours, so that we can leave them out of what we report."""

Rows = list[dict[str, Any]]


@dataclass
class Wire:
    """A connection; ``spent`` has the seconds of each statement, ``lost`` why there are no more."""

    connection: "AsyncConnection[dict[str, Any]]"
    spent: list[float] = field(default_factory=list)
    lost: str = ""
    running: "Task[Rows] | None" = None

    async def run(
        self, query: str, parameters: Mapping[str, Any] | None = None, *, before: str = ""
    ) -> Rows:
        """Run a statement and return its rows; ``before`` runs first, in the same transaction.

        Raises:
            Unavailable: no answer in time; after two in a row the server counts as lost.
            psycopg.Error: the server's own words.
        """
        from asyncio import create_task

        if self.lost:
            raise Unavailable(self.lost)
        if self.running and not await self._done():
            self.lost = "connection lost: the server has stopped answering"
            raise Unavailable(self.lost)
        self.running = create_task(self._read(query, parameters, before))
        if not await self._done():
            raise Unavailable(f"the server did not answer within {PATIENCE:g} s")
        return self.running.result()

    async def close(self) -> None:
        """Hang up, whatever is still running."""
        from asyncio import gather

        await self.connection.close()
        if self.running:
            self.running.cancel()
            await gather(self.running, return_exceptions=True)

    async def _done(self) -> bool:
        """Wait for what runs; a cancelled statement would have psycopg wait for its end."""
        from asyncio import wait

        assert self.running is not None
        done, _ = await wait({self.running}, timeout=PATIENCE)
        if done:
            self.running.exception()  # taken, or asyncio complains of an error that nobody took
        return bool(done)

    async def _read(self, query: str, parameters: Mapping[str, Any] | None, before: str) -> Rows:
        if not before:
            return await self._fetch(query, parameters)
        async with self.connection.transaction():
            await self.connection.execute(tagged(before))
            return await self._fetch(query, parameters)

    async def _fetch(self, query: str, parameters: Mapping[str, Any] | None) -> Rows:
        began = monotonic()
        try:
            cursor = await self.connection.execute(tagged(query), parameters)
            return await cursor.fetchall()
        finally:
            self.spent.append(monotonic() - began)


def tagged(query: str) -> bytes:
    """The statement with our tag behind its first word.

    From PostgreSQL 18 on pg_stat_statements leaves out what stands in front of a statement.
    """
    first, space, rest = query.strip().partition(" ")
    return f"{first} {TAG}{space}{rest}".encode()
