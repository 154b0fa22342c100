"""One connection to the admin console, which says SHOW and nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

from scaledoctor.sdk import Redactor, Target, Unavailable, source
from scaledoctor.sources.pgbouncer._connect import BANNER, CONSOLE, open_console

if TYPE_CHECKING:
    from psycopg import AsyncConnection

Show = Literal[
    "CLIENTS", "CONFIG", "DATABASES", "LISTS", "POOLS", "SERVERS", "STATE", "STATS", "USERS"
]  # fmt: skip
"""All that is ever asked: stats_users may, and nothing of it stops the event loop as FDS does."""

Row = dict[str, Any]

SECONDS = 2.0
"""One answer; below the engine's deadline for a reading, so that we close the connection."""


@dataclass
class PgBouncerSession:
    """The console of one PgBouncer; ``version`` is (1, 18, 0).

    ``local_port`` is its port when it runs on this machine. ``memory`` carries a probe's first
    reading to its second one, ``spent`` has the seconds of each SHOW.
    """

    connection: "AsyncConnection[dict[str, Any]]"
    redactor: Redactor
    version: tuple[int, int, int]
    local_port: int | None
    memory: dict[str, Any] = field(default_factory=dict)
    spent: list[float] = field(default_factory=list)
    lost: str = ""

    async def show(self, what: Show) -> list[Row]:
        """Return the rows of one SHOW by column name.

        Raises:
            Unavailable: this version lacks it, no answer in time, or the connection is gone.
        """
        import asyncio

        import psycopg

        if self.lost:
            raise Unavailable(self.lost)
        began = monotonic()
        asked = asyncio.ensure_future(self._ask(what))
        try:
            await asyncio.wait({asked}, timeout=SECONDS)
            if not asked.done():
                # First of all: psycopg would send a cancel request and wait for its answer too.
                await self.connection.close()
                asked.cancel()
                await asyncio.wait({asked})
                self.lost = f"PgBouncer did not answer SHOW {what} within {SECONDS:g} s"
                raise Unavailable(self.lost)
            return asked.result()
        except psycopg.Error as error:
            raise Unavailable(self._why(what, str(error))) from None
        finally:
            self.spent.append(monotonic() - began)

    async def _ask(self, what: Show) -> list[Row]:
        cursor = await self.connection.execute(f"SHOW {what}".encode())
        return await cursor.fetchall()

    def _why(self, what: Show, words: str) -> str:
        line = self.redactor.text(words.strip().partition("\n")[0])
        if self.connection.closed:
            self.lost = f"connection to PgBouncer lost: {line}"
            return self.lost
        if "invalid command" in line:
            return f"PgBouncer {'.'.join(map(str, self.version))} has no SHOW {what}"
        return line


@source("pgbouncer", PgBouncerSession)
@asynccontextmanager
async def pgbouncer(target: Target, redactor: Redactor) -> AsyncIterator[PgBouncerSession]:
    """PgBouncer's admin console, as one of its stats_users."""
    connection = await open_console(target)
    try:
        banner = connection.info.parameter_status("server_version") or ""
        yield PgBouncerSession(connection, redactor, version_of(banner), target.local_port)
    finally:
        await connection.close()


def version_of(banner: str) -> tuple[int, int, int]:
    """(1, 18, 0) of "1.18.0/bouncer"; zeros of anything else."""
    match = BANNER.match(banner)
    major, minor, patch = match.groups(default="0") if match else ("0", "0", "0")
    return int(major), int(minor), int(patch)


def number(row: Row, *names: str) -> int:
    """The first of these columns that the version has, as a number; 0 when it has none.

    Counters come as Decimal, sizes as text with blanks, absent values as None or blank.
    """
    for name in names:
        if name in row:
            return maybe(row, name) or 0
    return 0


def maybe(row: Row, name: str) -> int | None:
    """A column as a number; None when it is absent, empty or no number."""
    text = str(row.get(name)).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def word(row: Row, name: str) -> str:
    """A column as text; empty when it is absent or NULL."""
    return str(row.get(name) or "")


def is_console(row: Row) -> bool:
    """Whether a row is about the console itself, or about nobody yet."""
    return row.get("database") in (CONSOLE, "(nodb)")
