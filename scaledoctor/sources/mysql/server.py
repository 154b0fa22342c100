"""The server itself: version, account, rights, the variables that matter."""

from dataclasses import dataclass
from socket import gethostname

from scaledoctor.sdk import Unavailable, fact, probe
from scaledoctor.sources.mysql.session import MysqlSession

GRANT = "GRANT PROCESS ON *.* TO {user};"


@fact
@dataclass(frozen=True, slots=True)
class MysqlServer:
    """One server as one account sees it; ``words`` is its own version string.

    ``local`` means that it says the name of this host. ``sees_all`` is the right PROCESS: without
    it only the account's own threads are shown. ``idle_timeout`` is wait_timeout in seconds,
    ``buffer_pool`` bytes. ``counts_statements``: performance_schema is on.
    """

    words: str
    mariadb: bool
    account: str
    local: bool
    sees_all: bool
    max_connections: int
    idle_timeout: float
    buffer_pool: int
    counts_statements: bool
    read_only: bool

    @property
    def name(self) -> str:
        """MySQL or MariaDB."""
        return "MariaDB" if self.mariadb else "MySQL"

    def require_visible(self) -> None:
        """Raise Unavailable unless other accounts' threads can be seen."""
        if not self.sees_all:
            reason = f"{self.account} sees only its own threads"
            raise Unavailable(reason, GRANT.format(user=self.account))


_SERVER = """
SELECT @@hostname AS host, @@max_connections AS max_connections,
       @@global.wait_timeout AS idle_timeout, @@innodb_buffer_pool_size AS buffer_pool,
       @@performance_schema AS counts_statements, @@read_only AS read_only
"""


@probe(cost="2 queries, < 1 ms")
async def mysql_server(my: MysqlSession) -> MysqlServer:
    """Who and what answers, and whether it shows us everybody."""
    (row,) = await my.rows(_SERVER)
    try:
        await my.rows("SELECT 1 AS one FROM information_schema.innodb_trx LIMIT 1")
        sees_all = True
    except Unavailable:
        if my.lost:
            raise
        sees_all = False
    return MysqlServer(
        words=my.words,
        mariadb=my.mariadb,
        account=my.user,
        local=row["host"] == gethostname(),
        sees_all=sees_all,
        max_connections=int(row["max_connections"]),
        idle_timeout=float(row["idle_timeout"]),
        buffer_pool=int(row["buffer_pool"]),
        counts_statements=bool(row["counts_statements"]),
        read_only=str(row["read_only"]) not in ("0", "OFF"),
    )
