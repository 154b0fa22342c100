"""Which PostgreSQL backends serve which pool, to be joined with pg_stat_activity."""

from collections.abc import Sequence
from dataclasses import dataclass

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.pgbouncer.session import (
    PgBouncerSession,
    Row,
    is_console,
    maybe,
    word,
)

MOST = 2_000
"""Backends kept by pid; max_connections is rarely more."""


@dataclass(frozen=True, slots=True)
class PoolServers:
    """The servers of one pool: how many, and their backends' pids as PostgreSQL told them."""

    database: str
    user: str
    count: int
    pids: tuple[int, ...]

    @property
    def key(self) -> str:
        """The pool: database/user."""
        return f"{self.database}/{self.user}"


@fact
@dataclass(frozen=True, slots=True)
class PoolerServers:
    """All server connections by pool."""

    pools: tuple[PoolServers, ...]


@probe(cost="SHOW SERVERS, about 200 bytes per server, at both edges", cadence=Cadence.EDGES)
async def pooler_servers(console: PgBouncerSession) -> PoolerServers:
    """Read SHOW SERVERS."""
    return servers_of(await console.show("SERVERS"))


def servers_of(rows: Sequence[Row]) -> PoolerServers:
    """Group the servers of any version's SHOW SERVERS by pool; the pids of the first 2,000."""
    counts: dict[tuple[str, str], int] = {}
    pids: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        if is_console(row):
            continue
        names = (word(row, "database"), word(row, "user"))
        counts[names] = counts.get(names, 0) + 1
        pid = maybe(row, "remote_pid") or 0
        # Before its login a server has none; an uninitialised cancel key is no pid either.
        if pid > 0 and sum(map(len, pids.values())) < MOST:
            pids.setdefault(names, []).append(pid)
    return PoolerServers(
        tuple(
            PoolServers(*names, count, tuple(sorted(pids.get(names, ()))))
            for names, count in sorted(counts.items())
        )
    )
