"""One guarded, read-only connection to one database."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scaledoctor.sdk import Redactor, Target, Unavailable, Unreachable, source
from scaledoctor.sources.postgres._connect import open_connection
from scaledoctor.sources.postgres._refusal import refusal
from scaledoctor.sources.postgres._wire import Wire
from scaledoctor.sql import identifier

OLDEST = 130000
"""PostgreSQL 13, the oldest version that our statements are written for."""

GUARDS: Mapping[str, str] = {
    "application_name": "scaledoctor",
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

INDEXED = (
    "pg_catalog.set_config('enable_seqscan', 'off', true), "
    "pg_catalog.set_config('enable_bitmapscan', 'off', true)"
)
"""For one transaction: rows come one by one from an index, so that a LIMIT bounds the work."""

FORGET = "where it is a statement's: SELECT pg_stat_statements_reset();"

POOL = "if a pooler is in between, it has no free server connection: look at SHOW POOLS"


@dataclass
class PostgresSession:
    """A connection with its guards; ``pooled`` when a pooler stands in between.

    ``memory`` carries a probe's first reading to its second one.
    """

    wire: Wire
    redactor: Redactor
    role: str
    version: int
    pid: int
    pooled: bool
    local: bool
    memory: dict[str, Any] = field(default_factory=dict)

    @property
    def spent(self) -> list[float]:
        """The seconds of each statement."""
        return self.wire.spent

    async def rows(
        self,
        query: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        grant: str = GRANT,
        by_index: bool = False,
    ) -> list[dict[str, Any]]:
        """Run one read-only statement under the guards and return its rows as dicts.

        ``grant`` is what to do when the role may not. ``by_index`` keeps the planner from reading
        a table whole, whatever stale statistics say.

        Raises:
            Unavailable: no privilege, a time-out, a lock, or the connection is gone.
        """
        import psycopg

        # Through a pooler a setting of the session would stay with its server connection.
        before = guards(local=True) if self.pooled else ""
        if by_index:
            before = f"{before or 'SELECT 1'}, {INDEXED}"
        try:
            return await self.wire.run(query, parameters, before=before)
        except psycopg.errors.InsufficientPrivilege as error:
            raise Unavailable(self._line(error), grant.format(role=identifier(self.role))) from None
        except psycopg.errors.QueryCanceled:
            raise Unavailable(
                f"the server did not answer within {GUARDS['statement_timeout']}"
            ) from None
        except psycopg.errors.LockNotAvailable:
            raise Unavailable("an exclusive lock on a system catalogue is in the way") from None
        except psycopg.DataError as error:
            reason = f"a text is not in this database's encoding: {self._line(error)}"
            raise Unavailable(reason, FORGET) from None
        except (psycopg.OperationalError, psycopg.NotSupportedError) as error:
            if self.wire.connection.closed:
                self.wire.lost = f"connection lost: {self._line(error)}"
            raise Unavailable(self.wire.lost or self._line(error)) from None

    def _line(self, error: Exception) -> str:
        return self.redactor.text(refusal(str(error)).message)


@source("postgres", PostgresSession)
@asynccontextmanager
async def postgres(target: Target, redactor: Redactor) -> AsyncIterator[PostgresSession]:
    """A PostgreSQL database, directly or through a pooler, primary or standby."""
    import psycopg

    wire = Wire(await open_connection(target))
    try:
        try:
            session = await _begin(wire, redactor)
        except psycopg.Error as error:
            raise refusal(str(error)) from None
        except Unavailable as silent:
            raise Unreachable("timeout", f"logged in, but {silent.reason}", "", POOL) from None
        yield session
    finally:
        await wire.close()


async def _begin(wire: Wire, redactor: Redactor) -> PostgresSession:
    info = wire.connection.info
    (row,) = await wire.run("SELECT pg_catalog.pg_backend_pid() AS pid, session_user AS role")
    if info.server_version < OLDEST:
        words = f"this is version {info.parameter_status('server_version')}"
        raise Unreachable("version", words, "", "PostgreSQL 13 and later can be looked at")
    # A pooler hands its clients an invented pid; a direct server tells the real one.
    pooled = info.backend_pid != row["pid"]
    if pooled:
        await wire.run("SELECT 1 AS one", before=guards(local=True))
    else:
        await wire.run(guards(local=False))
    return PostgresSession(
        wire=wire,
        redactor=redactor,
        role=row["role"],
        version=info.server_version,
        pid=row["pid"],
        pooled=pooled,
        local=_runs_here(row["pid"], row["role"]),
    )


def guards(*, local: bool) -> str:
    """One statement that sets every guard, for the transaction or for the session."""
    names = {k: f"'{v}'" for k, v in GUARDS.items() if local or k != "transaction_read_only"}
    names["client_encoding"] = "pg_catalog.current_setting('server_encoding')"  # never converted
    calls = (f"pg_catalog.set_config('{k}', {v}, {str(local).lower()})" for k, v in names.items())
    return "SELECT " + ", ".join(calls)


def _runs_here(pid: int, role: str) -> bool:
    """Whether the backend is a process of this host: its title is "postgres: ROLE DATABASE ..."."""
    try:
        title = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return title.startswith(b"postgres: ") and f" {role} ".encode() in title
