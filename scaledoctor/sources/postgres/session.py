"""One guarded, read-only connection to one database."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from scaledoctor.sdk import Redactor, Target, Unavailable, source
from scaledoctor.sources.postgres._connect import open_connection
from scaledoctor.sql import identifier

if TYPE_CHECKING:
    from psycopg import AsyncConnection

TAG = "/* scaledoctor */ "
"""In front of every statement of ours, so that we can leave them out of what we report."""

GUARDS: Mapping[str, str] = {
    "statement_timeout": "2s",
    "lock_timeout": "200ms",
    "idle_in_transaction_session_timeout": "10s",
    "default_transaction_read_only": "on",
    "transaction_read_only": "on",
    "jit": "off",
    "search_path": "pg_catalog",
}
"""Set before the first query of ours that reads a statistics view."""

GRANT = "GRANT pg_monitor TO {role};"


@dataclass
class PostgresSession:
    """A connection with its guards; ``pooled`` when a pooler stands in between.

    ``memory`` carries a probe's first reading to its second one; ``spent`` has the seconds of
    each statement.
    """

    connection: "AsyncConnection[dict[str, Any]]"
    redactor: Redactor
    role: str
    version: int
    pid: int
    pooled: bool
    local: bool
    memory: dict[str, Any] = field(default_factory=dict)
    spent: list[float] = field(default_factory=list)
    lost: str = ""

    async def rows(
        self, query: str, parameters: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Run one read-only statement under the guards and return its rows as dicts.

        Raises:
            Unavailable: no privilege, a time-out, a lock, or the connection is gone.
        """
        import psycopg

        if self.lost:
            raise Unavailable(self.lost)
        try:
            if not self.pooled:
                return await self._run(query, parameters)
            # A setting of the session would stay with the pooler's server connection.
            async with self.connection.transaction():
                await self.connection.execute(_guards(local=True))
                return await self._run(query, parameters)
        except psycopg.errors.InsufficientPrivilege as error:
            raise Unavailable(_line(error), GRANT.format(role=identifier(self.role))) from None
        except psycopg.errors.QueryCanceled:
            raise Unavailable(
                f"the server did not answer within {GUARDS['statement_timeout']}"
            ) from None
        except psycopg.errors.LockNotAvailable:
            raise Unavailable("an exclusive lock on a system catalogue is in the way") from None
        except psycopg.OperationalError as error:
            raise Unavailable(self._gone(_line(error))) from None

    def _gone(self, words: str) -> str:
        """Remember why the connection ended, for every later reading."""
        if self.connection.closed:
            self.lost = f"connection lost: {self.redactor.text(words)}"
            if "statement pooling mode" in words:
                self.lost = "the pooler is in statement mode: no guard can be set through it"
        return self.lost or self.redactor.text(words)

    async def _run(self, query: str, parameters: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        began = monotonic()
        try:
            cursor = await self.connection.execute((TAG + query).encode(), parameters)
            return await cursor.fetchall()
        finally:
            self.spent.append(monotonic() - began)


@source("postgres", PostgresSession)
@asynccontextmanager
async def postgres(target: Target, redactor: Redactor) -> AsyncIterator[PostgresSession]:
    """A PostgreSQL database, directly or through a pooler, primary or standby."""
    connection = await open_connection(target)
    try:
        cursor = await connection.execute(
            (TAG + "SELECT pg_backend_pid() AS pid, session_user::text AS role").encode()
        )
        row = await cursor.fetchone()
        assert row is not None
        pid = int(row["pid"])
        # A pooler hands its clients an invented pid; a direct server tells the real one.
        pooled = connection.info.backend_pid != pid
        if not pooled:
            await connection.execute(_guards(local=False))
        yield PostgresSession(
            connection=connection,
            redactor=redactor,
            role=str(row["role"]),
            version=connection.info.server_version,
            pid=pid,
            pooled=pooled,
            local=_runs_here(pid),
        )
    finally:
        await connection.close()


def _guards(*, local: bool) -> bytes:
    """One statement that sets every guard, for the transaction or for the session."""
    names = {k: v for k, v in GUARDS.items() if local or k != "transaction_read_only"}
    scope = "true" if local else "false"
    calls = (f"set_config('{name}', '{value}', {scope})" for name, value in names.items())
    return (TAG + "SELECT " + ", ".join(calls)).encode()


def _runs_here(pid: int) -> bool:
    """Whether the backend is a process of this host: its title says "postgres: ..."."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"postgres: ")
    except OSError:
        return False


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
