"""A connection of its own for plans: read-only, under every time-out, closed after its use."""

from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from scaledoctor.errors import Unavailable
from scaledoctor.sources.postgres._connect import _read_leniently
from scaledoctor.sources.postgres._wire import tagged

if TYPE_CHECKING:
    from psycopg import AsyncConnection

T = TypeVar("T")

INTRANS, INERROR = 2, 3
"""libpq's PQTRANS_INTRANS and PQTRANS_INERROR: in a transaction, and idle."""

LOCK_MS = 100
"""Milliseconds that a plan may wait for a lock; the manual's lock_timeout counts each lock."""

PLAN_MS = 1000
"""Milliseconds that planning one statement may take."""

RUN_MS = 5000
"""Milliseconds that a statement may run for EXPLAIN ANALYZE."""


@dataclass
class Own:
    """The connection; ``until`` is when, by the monotonic clock, no further query is begun.

    ``spent`` has the seconds of each guarded transaction.
    """

    connection: "AsyncConnection[dict[str, Any]]"
    version: int
    until: float
    spent: list[float] = field(default_factory=list)

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
        began = monotonic()
        await self.connection.execute(b"BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY")
        try:
            for name, value in limits.items():
                await self.connection.execute(f"SET LOCAL {name} = {value}".encode())
            yield
        finally:
            # One that was given up in the midst of a statement is closed, not talked to.
            if self.connection.info.transaction_status in (INTRANS, INERROR):
                await self.connection.execute(b"ROLLBACK")
            self.spent.append(monotonic() - began)

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
        Unavailable: a pooler is in between: its server connection would outlive ours.
        psycopg.Error: the server does not let us in.
    """
    import psycopg
    from psycopg.rows import dict_row

    connection = await psycopg.AsyncConnection[dict[str, Any]].connect(
        dsn,
        autocommit=True,
        prepare_threshold=None,
        row_factory=dict_row,
        connect_timeout=2,
        application_name="",  # set below: a pooler would keep it for the next client
    )
    _read_leniently(connection)
    found = Own(connection, connection.info.server_version, monotonic() + seconds)
    try:
        await in_time(found, _direct(found), 2.0)
        yield found
    finally:
        await connection.close()


async def _direct(own: Own) -> None:
    query = "SELECT pg_catalog.pg_backend_pid() AS pid"
    (row,) = await own.rows(query)
    if row["pid"] != own.connection.info.backend_pid:
        raise Unavailable("plans are not asked for through a pooler", "name the server itself")
    await own.connection.execute(b"SET application_name = 'scaledoctor'")


async def in_time(own: Own, work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Wait for some work, and hang up when the server does not answer.

    A cancelled statement would have psycopg wait for its end, which a dead server never sends.

    Raises:
        Unavailable: no answer in time.
    """
    from asyncio import create_task, gather, wait

    task = create_task(work)
    try:
        await wait({task}, timeout=seconds)
        if task.done():
            return task.result()
        raise Unavailable(f"the server did not answer within {seconds:g} s")
    finally:
        if not task.done():  # also where we are cancelled ourselves
            await own.connection.close()
            task.cancel()
            await gather(task, return_exceptions=True)
