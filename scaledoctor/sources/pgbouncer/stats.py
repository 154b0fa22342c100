"""What went through, per database, as counters."""

from collections.abc import Sequence
from dataclasses import dataclass

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.pgbouncer.session import (
    PgBouncerSession,
    Row,
    is_console,
    number,
    word,
)

MOST = 200
"""Databases kept, the busiest."""


@dataclass(frozen=True, slots=True)
class DatabaseStats:
    """Counters of one database since PgBouncer began.

    The averages that PgBouncer computes are left alone: avg_query_time and avg_xact_time include
    the wait for a server, and avg_wait_time changed its meaning in 1.23.
    """

    database: str
    transactions: int
    queries: int


@fact
@dataclass(frozen=True, slots=True)
class PoolerStats:
    """All databases, the busiest first."""

    databases: tuple[DatabaseStats, ...]

    def transactions(self, database: str) -> int:
        """Transactions begun in one database."""
        return sum(d.transactions for d in self.databases if d.database == database)


@probe(cost="SHOW STATS, < 1 ms, at both edges", cadence=Cadence.EDGES)
async def pooler_stats(console: PgBouncerSession) -> PoolerStats:
    """Read SHOW STATS."""
    return stats_of(await console.show("STATS"))


def stats_of(rows: Sequence[Row]) -> PoolerStats:
    """Return the counters of any version's SHOW STATS."""
    found = [
        DatabaseStats(
            database=word(row, "database"),
            transactions=number(row, "total_xact_count"),
            queries=number(row, "total_query_count"),
        )
        for row in rows
        if not is_console(row)
    ]
    found.sort(key=lambda d: (-d.transactions, d.database))
    return PoolerStats(tuple(found[:MOST]))
