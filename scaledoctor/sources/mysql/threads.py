"""Who is connected and what each one does, twice a second."""

from dataclasses import dataclass
from typing import Any

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.mysql.session import TAG, MysqlSession

SERVERS_OWN = ("system user", "event_scheduler")
NOBODYS = ("Daemon", "Binlog Dump", "Binlog Dump GTID", "Slave_IO", "Slave_SQL", "Connect")
"""Users and commands that are no client's."""

METADATA = "metadata lock"
TABLE = "Waiting for table level lock"


@dataclass(frozen=True, slots=True)
class MysqlThread:
    """One client's thread; ``seconds`` is how long it is in its command.

    ``query`` is without literals, and empty while it sleeps.
    """

    id: int
    user: str
    client: str
    database: str
    command: str
    seconds: float
    state: str
    query: str

    @property
    def label(self) -> str:
        """How people know it: user@host."""
        return f"{self.user}@{self.client}" if self.client else self.user

    @property
    def active(self) -> bool:
        """Runs a statement, or waits inside it."""
        return self.command != "Sleep"

    @property
    def waits_for_metadata(self) -> bool:
        """Waits until others have ended with a table, or a schema change has."""
        return METADATA in self.state


@fact
@dataclass(frozen=True, slots=True)
class MysqlThreads:
    """All clients' threads but ours at one moment, the newest 5,000."""

    threads: tuple[MysqlThread, ...]

    def find(self, number: int) -> MysqlThread | None:
        """The thread of that id."""
        return next((t for t in self.threads if t.id == number), None)


_THREADS = """
SELECT id, user, coalesce(host, '') AS client, coalesce(db, '') AS `database`, command,
       {seconds} AS seconds, coalesce(state, '') AS state, left(coalesce(info, ''), 2000) AS query
FROM information_schema.processlist
ORDER BY id DESC
LIMIT 5000
"""


@probe(cost="1 query, 1 to 5 ms, twice a second", cadence=Cadence.SAMPLED)
async def mysql_threads(my: MysqlSession) -> MysqlThreads:
    """Read the process list."""
    seconds = "time_ms / 1000.0" if my.mariadb else "time"
    rows = await my.rows(_THREADS.format(seconds=seconds))
    return MysqlThreads(tuple(_thread(my, row) for row in rows if _client(my, row)))


def _client(my: MysqlSession, row: dict[str, Any]) -> bool:
    ours = row["id"] == my.mine or TAG in row["query"]
    return not ours and row["user"] not in SERVERS_OWN and row["command"] not in NOBODYS


def _thread(my: MysqlSession, row: dict[str, Any]) -> MysqlThread:
    client = str(row["client"])
    host, _, port = client.rpartition(":")
    return MysqlThread(
        id=int(row["id"]),
        user=my.redactor.text(str(row["user"])),
        client=host if port.isdigit() and host else client,
        database=str(row["database"]),
        command=str(row["command"]),
        seconds=round(max(0.0, float(row["seconds"] or 0)), 3),
        state=str(row["state"]),
        query=my.statement(str(row["query"])),
    )
