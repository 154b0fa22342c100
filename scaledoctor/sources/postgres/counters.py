"""Per-database counters: transactions, sessions, deadlocks, blocks, temporary files."""

from dataclasses import dataclass

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.postgres.session import PostgresSession


@fact
@dataclass(frozen=True, slots=True)
class DatabaseCounters:
    """One database since its last reset; ``sessions`` is None before PostgreSQL 14."""

    database: str
    commits: int
    rollbacks: int
    deadlocks: int
    blocks_hit: int
    blocks_read: int
    temp_bytes: int
    sessions: int | None


@fact
@dataclass(frozen=True, slots=True)
class Databases:
    """All databases of the server, the busiest 200, at one moment."""

    databases: tuple[DatabaseCounters, ...]

    @property
    def transactions(self) -> int:
        """Commits and rollbacks of all databases."""
        return sum(d.commits + d.rollbacks for d in self.databases)

    @property
    def deadlocks(self) -> int:
        """Deadlocks of all databases."""
        return sum(d.deadlocks for d in self.databases)

    @property
    def sessions(self) -> int | None:
        """Sessions begun in all databases; None before PostgreSQL 14."""
        counts = [d.sessions for d in self.databases]
        return None if None in counts else sum(c for c in counts if c is not None)


_COUNTERS = """
SELECT datname::text AS database, xact_commit AS commits, xact_rollback AS rollbacks, deadlocks,
       blks_hit AS blocks_hit, blks_read AS blocks_read, temp_bytes, {sessions} AS sessions
FROM pg_stat_database
WHERE datname IS NOT NULL AND datid <> 0
ORDER BY xact_commit DESC, datid
LIMIT 200
"""


@probe(cost="1 query, < 2 ms, at both edges", cadence=Cadence.EDGES)
async def databases(pg: PostgresSession) -> Databases:
    """Read pg_stat_database."""
    sessions = "sessions" if pg.version >= 140000 else "NULL::bigint"
    rows = await pg.rows(_COUNTERS.format(sessions=sessions))
    return Databases(tuple(DatabaseCounters(**row) for row in rows))
