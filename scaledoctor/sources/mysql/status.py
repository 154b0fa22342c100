"""The server's counters at both edges of the window."""

from collections.abc import Mapping
from dataclasses import dataclass

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.mysql.session import MysqlSession

WANTED = (
    "Uptime", "Questions", "Connections", "Threads_connected", "Threads_running",
    "Max_used_connections", "Connection_errors_max_connections", "Aborted_connects",
    "Innodb_buffer_pool_reads", "Innodb_buffer_pool_read_requests", "Innodb_buffer_pool_wait_free",
    "Innodb_buffer_pool_pages_total", "Innodb_buffer_pool_pages_free", "Innodb_row_lock_waits",
    "Innodb_row_lock_time", "Slow_queries", "Created_tmp_disk_tables", "Created_tmp_tables",
)  # fmt: skip


@fact
@dataclass(frozen=True, slots=True)
class MysqlStatus:
    """SHOW GLOBAL STATUS at one moment; a variable that this version lacks is 0."""

    values: Mapping[str, float]

    def of(self, name: str) -> float:
        """One variable."""
        return self.values.get(name, 0.0)


@probe(cost="1 query, 1 to 3 ms, at both edges", cadence=Cadence.EDGES)
async def mysql_status(my: MysqlSession) -> MysqlStatus:
    """Read the counters that checks compare."""
    names = ", ".join(f"'{name}'" for name in WANTED)
    rows = await my.rows(f"SHOW GLOBAL STATUS WHERE Variable_name IN ({names})")
    return MysqlStatus({row["variable_name"]: float(row["value"]) for row in rows})
