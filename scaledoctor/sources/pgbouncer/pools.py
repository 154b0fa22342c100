"""Every pool and the client count, twice a second."""

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

MOST = 100
"""Pools kept of one sample, the busiest; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool: connections by state, as gauges.

    Of the clients ``waiting`` are those that want a server now, ``clients`` all others, however
    idle. Of the servers ``active`` are linked to a client, ``idle`` may be taken at once, ``used``
    and ``tested`` are about to be idle, ``login`` connect, ``canceling`` carry cancel requests.
    ``maxwait`` is the oldest waiting client's wait in seconds; 0 for one that waits for its login.
    """

    database: str
    user: str
    mode: str
    clients: int
    waiting: int
    active: int
    idle: int
    used: int
    tested: int
    login: int
    canceling: int
    maxwait: float

    @property
    def key(self) -> str:
        """How people and findings name it: database/user."""
        return f"{self.database}/{self.user}"

    @property
    def ready(self) -> int:
        """Servers that are logged in, busy or not."""
        return self.active + self.idle + self.used + self.tested + self.canceling

    @property
    def servers(self) -> int:
        """All that count against the pool's size."""
        return self.ready + self.login


@fact
@dataclass(frozen=True, slots=True)
class PoolerPools:
    """All pools but the console's, the busiest first; ``others`` were left out."""

    pools: tuple[Pool, ...]
    others: int = 0


@fact
@dataclass(frozen=True, slots=True)
class PoolerLists:
    """How many there are: clients, ours and those that log in included, servers, users, pools."""

    clients: int
    logins: int
    servers: int
    users: int
    pools: int


@probe(cost="SHOW POOLS, < 1 ms, twice a second", cadence=Cadence.SAMPLED)
async def pooler_pools(console: PgBouncerSession) -> PoolerPools:
    """Read SHOW POOLS."""
    return pools_of(await console.show("POOLS"))


@probe(cost="SHOW LISTS, < 1 ms, twice a second", cadence=Cadence.SAMPLED)
async def pooler_lists(console: PgBouncerSession) -> PoolerLists:
    """Read SHOW LISTS."""
    return lists_of(await console.show("LISTS"))


def pools_of(rows: Sequence[Row]) -> PoolerPools:
    """Return the pools of any version's SHOW POOLS."""
    pools = [_pool(row) for row in rows if not is_console(row)]
    pools.sort(key=lambda p: (-p.waiting, -p.active, -p.clients, p.key))
    return PoolerPools(tuple(pools[:MOST]), max(0, len(pools) - MOST))


def _pool(row: Row) -> Pool:
    return Pool(
        database=word(row, "database"),
        user=word(row, "user"),
        mode=word(row, "pool_mode"),
        clients=number(row, "cl_active"),
        waiting=number(row, "cl_waiting"),
        active=number(row, "sv_active"),
        idle=number(row, "sv_idle"),
        used=number(row, "sv_used"),
        tested=number(row, "sv_tested"),
        login=number(row, "sv_login"),
        # Before 1.18 such servers were counted as active or not at all.
        canceling=number(row, "sv_active_cancel") + number(row, "sv_being_canceled"),
        maxwait=number(row, "maxwait") + number(row, "maxwait_us") / 1e6,
    )


def lists_of(rows: Sequence[Row]) -> PoolerLists:
    """Return the counts of any version's SHOW LISTS."""
    items = {word(row, "list"): number(row, "items") for row in rows}
    return PoolerLists(
        clients=items.get("used_clients", 0),
        logins=items.get("login_clients", 0),
        servers=items.get("used_servers", 0),
        users=items.get("users", 0),
        pools=items.get("pools", 0),
    )
