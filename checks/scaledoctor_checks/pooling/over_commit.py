"""Pools that may together want more than PostgreSQL has."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import floor

from scaledoctor.sdk import Evidence, Finding, Kind, Severity, Step, Window, check
from scaledoctor.sources.pgbouncer import (
    PoolerConfig,
    PoolerDatabases,
    PoolerPools,
    PoolerProcess,
    PoolerServers,
    PoolerUsers,
)
from scaledoctor.sources.postgres import Activity, Server, Settings
from scaledoctor_checks.pooling._load import Load, loads
from scaledoctor_checks.pooling._setup import Setup
from scaledoctor_checks.pooling._words import entry, ini

SOURCE = "SHOW POOLS, SHOW DATABASES, SHOW USERS, pg_settings"


@dataclass(frozen=True, slots=True)
class _Claim:
    """What the pools that exist may open at most, by database, all processes together."""

    databases: Mapping[str, int]
    users: int
    pools: int
    instances: int

    @property
    def servers(self) -> int:
        """The caps of the databases and those of the users both hold."""
        return self.instances * min(sum(self.databases.values()), self.users)


@check("pgbouncer.over-commit", step=Step.POOL)
def over_commit(
    window: Window[PoolerPools],
    config: PoolerConfig,
    databases: PoolerDatabases,
    users: PoolerUsers | None,
    process: PoolerProcess | None,
    servers: Window[PoolerServers] | None,
    settings: Settings,
    server: Server,
    activity: Window[Activity],
    /,
    *,
    busy: float = 0.7,
) -> Iterator[Finding]:
    """The pools may together open more connections than PostgreSQL has slots.

    Why: each user of each database has a pool of its own; at the busiest moment the last ones get
    "too many clients already", and a larger pool makes it worse.
    How measured: the size with its reserve of every pool that was used since PgBouncer began, no
    more than max_db_connections and max_user_connections, times the processes that share its port,
    and the sessions that do not come through it, against max_connections less the reserved ones. A
    risk; high when ``busy`` of the slots are taken now.
    Fix: max_db_connections for each database, so that all of them fit.
    When to ignore: pools that are never busy at the same time.
    References: PgBouncer manual, default_pool_size, max_db_connections.
    """
    setup = Setup(config, databases, users)
    found = [p for p in loads(window, None, setup) if p.size]
    mine = [p for p in found if p.database and _same(p, server, found)]
    claim = _claim(mine, setup, process.instances if process else 1)
    usable = settings.max_connections - settings.reserved
    pooled = {pid for sample in servers or () for pool in sample.pools for pid in pool.pids}
    direct = int(
        activity.peak(lambda a: a.own + sum(s.pid not in pooled for s in a.sessions))
        if servers
        else 0
    )
    taken = activity.peak(lambda a: len(a.sessions) + a.own)
    if claim.servers + direct > usable:
        severity = Severity.HIGH if taken >= busy * usable else Severity.MEDIUM
        now = Evidence("slots taken now", taken, f"of {usable}", busy * usable, "pg_stat_activity")
        yield _finding(mine, claim, usable, direct, severity, now, config)


def _finding(
    mine: list[Load],
    claim: _Claim,
    usable: int,
    direct: int,
    severity: Severity,
    now: Evidence,
    config: PoolerConfig,
) -> Finding:
    room = usable - direct
    return Finding(
        subject="max_connections",
        summary=(
            f"{claim.pools} pools of PgBouncer may open {claim.servers} connections, with "
            f"{direct} direct ones {claim.servers + direct}; PostgreSQL has {usable}"
        ),
        severity=severity,
        evidence=(
            Evidence("pools may open", float(claim.servers), "connections", room, SOURCE),
            Evidence("by database", _by_database(claim), source=SOURCE),
            Evidence("sessions that do not come through PgBouncer", float(direct), "sessions",
                     source="pg_stat_activity"),
            now,
        ),
        fixes=(
            ini(
                "Cap each database, so that together they fit",
                "databases",
                tuple(_caps(mine, claim, max(1, room))),
                config,
                risk="the pools of one database wait for each other at its cap",
                verify="SHOW DATABASES; max_connections adds up to what PostgreSQL has",
                undo="the old lines, then RELOAD;",
            ),
        ),
        kind=Kind.RISK,
    )  # fmt: skip


def _same(load: Load, server: Server, found: list[Load]) -> bool:
    """Whether a pool's database is on the PostgreSQL that was looked at: by its port.

    Unless all are on one server, whatever its port is on the way.
    """
    places = {(p.database.host, p.database.port) for p in found if p.database}
    return len(places) == 1 or bool(load.database and load.database.port == server.port)


def _claim(found: list[Load], setup: Setup, instances: int) -> _Claim:
    """By database: its pools together, no more than its cap; and the same by user."""
    databases: dict[str, int] = {}
    users: dict[str, int] = {}
    for load in found:
        caps = {cap.field: cap.most for cap in setup.caps(load.pool)}
        most = load.size + load.reserve
        for field, sums, name in (
            ("database", databases, load.pool.database),
            ("user", users, load.pool.user),
        ):
            sums[name] = min(sums.get(name, 0) + most, caps.get(field, sys.maxsize))
    return _Claim(databases, sum(users.values()), len(found), instances)


def _by_database(claim: _Claim) -> str:
    ranked = sorted(claim.databases.items(), key=lambda kv: (-kv[1], kv[0]))
    words = " + ".join(f"{n} of {name}" for name, n in ranked[:6])
    more = " + ..." if len(ranked) > 6 else ""
    times = f" x {claim.instances} processes" if claim.instances > 1 else ""
    return f"{words}{more}{times}"


def _caps(mine: list[Load], claim: _Claim, room: int) -> Iterator[str]:
    """Each database's share of the room, by what its pools may open now."""
    seen: set[str] = set()
    for load in sorted(mine, key=lambda p: p.key):
        name = load.pool.database
        if load.database and name not in seen:
            seen.add(name)
            part = max(1, floor(claim.databases[name] * room / claim.servers))
            yield entry(load.database, *_own_size(load), f"max_db_connections={part}")


def _own_size(load: Load) -> tuple[str, ...]:
    return (f"pool_size={load.size}",) if load.sized.of == "database" else ()
