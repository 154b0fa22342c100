"""The server itself: version, role, rights, extensions, the settings that matter."""

from collections.abc import Mapping
from dataclasses import dataclass

from scaledoctor.sdk import fact, probe
from scaledoctor.sources.postgres.session import GRANT, PostgresSession
from scaledoctor.sql import identifier


@fact
@dataclass(frozen=True, slots=True)
class Server:
    """One server as one role sees it.

    ``version`` is server_version_num. ``local`` means that its processes run on this host.
    ``sees_all`` is membership in pg_read_all_stats (pg_monitor has it). ``statements_version``
    and ``statements_schema`` are empty when pg_stat_statements is not created in this database.
    ``uptime`` is in seconds.
    """

    version: int
    database: str
    role: str
    superuser: bool
    sees_all: bool
    in_recovery: bool
    pooled: bool
    local: bool
    port: int
    pid: int
    uptime: float
    statements_version: str
    statements_schema: str
    role_limit: int
    database_limit: int

    @property
    def major(self) -> int:
        """13 to 18."""
        return self.version // 10000

    @property
    def grant(self) -> str:
        """What lets this role see everything that we look at."""
        return GRANT.format(role=identifier(self.role))


@fact
@dataclass(frozen=True, slots=True)
class Settings:
    """The values of the settings that checks read, as the server prints them, in base units."""

    values: Mapping[str, str]

    def number(self, name: str, default: float = 0.0) -> float:
        """Return a numeric setting, or ``default`` where this version does not have it."""
        return float(self.values.get(name, default))

    def on(self, name: str) -> bool:
        """Whether a boolean setting is on."""
        return self.values.get(name) == "on"

    @property
    def max_connections(self) -> int:
        """All slots, the reserved ones included."""
        return int(self.number("max_connections"))

    @property
    def reserved(self) -> int:
        """Slots that ordinary roles cannot have (reserved_connections is 16+)."""
        return int(
            self.number("superuser_reserved_connections") + self.number("reserved_connections")
        )


_SERVER = """
SELECT current_setting('server_version_num')::int AS version,
       current_database()::text AS database,
       session_user::text AS role,
       r.rolsuper AS superuser,
       pg_has_role('pg_read_all_stats', 'USAGE') AS sees_all,
       pg_is_in_recovery() AS in_recovery,
       current_setting('port')::int AS port,
       extract(epoch FROM now() - pg_postmaster_start_time())::float8 AS uptime,
       coalesce(e.extversion, '') AS statements_version,
       coalesce(n.nspname::text, '') AS statements_schema,
       r.rolconnlimit AS role_limit,
       d.datconnlimit AS database_limit
FROM pg_roles r
JOIN pg_database d ON d.datname = current_database()
LEFT JOIN pg_extension e ON e.extname = 'pg_stat_statements'
LEFT JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE r.rolname = session_user
"""

_WANTED = (
    "max_connections", "superuser_reserved_connections", "reserved_connections",
    "shared_preload_libraries", "track_io_timing", "track_activities", "log_lock_waits",
    "log_min_duration_statement", "log_temp_files", "deadlock_timeout",
    "idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout",
    "idle_session_timeout", "autovacuum_freeze_max_age", "max_worker_processes",
    "compute_query_id", "pg_stat_statements.track", "max_standby_streaming_delay",
    "max_standby_archive_delay", "hot_standby_feedback",
)  # fmt: skip

_SETTINGS = """
SELECT name, setting FROM pg_settings WHERE name = ANY(%(wanted)s)
UNION ALL
SELECT 'effective:' || name, reset_val FROM pg_settings WHERE name = ANY(%(effective)s)
"""


@probe(cost="1 query, < 1 ms")
async def server(pg: PostgresSession) -> Server:
    """Who and what answers."""
    (row,) = await pg.rows(_SERVER)
    return Server(**row, pooled=pg.pooled, local=pg.local, pid=pg.pid)


@probe(cost="1 query, < 2 ms")
async def settings(pg: PostgresSession) -> Settings:
    """The settings that checks compare with.

    The time-outs are read at their reset value, for our own guards change the current one.
    """
    effective = [n for n in _WANTED if n.endswith("_timeout")]
    found = await pg.rows(_SETTINGS, {"wanted": list(_WANTED), "effective": effective})
    values = {row["name"]: pg.redactor.text(row["setting"]) for row in found}
    for name in effective:
        if (value := values.pop(f"effective:{name}", None)) is not None:
            values[name] = value
    return Settings(values)
