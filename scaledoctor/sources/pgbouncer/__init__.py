"""PgBouncer 1.15 to 1.25 through its admin console: each fact stands next to its SHOW."""

from scaledoctor.sources.pgbouncer.clients import ClientGroup, PoolerClients
from scaledoctor.sources.pgbouncer.config import PoolerConfig
from scaledoctor.sources.pgbouncer.databases import PoolerDatabase, PoolerDatabases
from scaledoctor.sources.pgbouncer.log import LogEntry, PoolerLog
from scaledoctor.sources.pgbouncer.pools import Pool, PoolerLists, PoolerPools
from scaledoctor.sources.pgbouncer.process import PoolerProcess
from scaledoctor.sources.pgbouncer.servers import PoolerServers, PoolServers
from scaledoctor.sources.pgbouncer.stats import DatabaseStats, PoolerStats
from scaledoctor.sources.pgbouncer.users import PoolerUser, PoolerUsers

__all__ = [
    "ClientGroup",
    "DatabaseStats",
    "LogEntry",
    "Pool",
    "PoolServers",
    "PoolerClients",
    "PoolerConfig",
    "PoolerDatabase",
    "PoolerDatabases",
    "PoolerLists",
    "PoolerLog",
    "PoolerPools",
    "PoolerProcess",
    "PoolerServers",
    "PoolerStats",
    "PoolerUser",
    "PoolerUsers",
]
