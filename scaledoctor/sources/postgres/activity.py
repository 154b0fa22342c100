"""Who is connected and what each one does or waits for, twice a second."""

from dataclasses import dataclass
from typing import Any

from scaledoctor.sdk import Cadence, Unavailable, fact, probe
from scaledoctor.sources.postgres.server import Server
from scaledoctor.sources.postgres.session import PostgresSession

HEAVYWEIGHT = (
    "relation",
    "tuple",
    "transactionid",
    "virtualxid",
    "object",
    "advisory",
    "spectoken",
)
"""Wait events of type Lock that mean another session's lock. ``extend`` and ``frozenid`` are the
server's own housekeeping: nobody can be terminated to end them."""


REPLAY = "startup"
"""The kind of the process that replays WAL; it has no transaction, and pg_blocking_pids is mute
about it."""


@fact
@dataclass(frozen=True, slots=True)
class Session:
    """One client session; ages in seconds, None where there is nothing to age.

    ``state`` is empty when this role may not see it. ``blockers`` are the pids that hold what it
    waits for. ``query`` is without literals, only kept for sessions that are not plainly idle.
    ``xid_age`` is in transactions: the older of its xid and its xmin.
    """

    pid: int
    database: str
    user: str
    application: str
    client: str
    state: str
    wait_type: str
    wait_event: str
    backend_age: float
    transaction_age: float | None
    query_age: float | None
    state_age: float | None
    xid_age: int | None
    query_id: str
    query: str
    blockers: tuple[int, ...] = ()

    @property
    def label(self) -> str:
        """How people know it: its application_name, else its user."""
        return self.application or self.user or "unknown"

    @property
    def blocked(self) -> bool:
        """Waits for another session's heavyweight lock."""
        return self.wait_type == "Lock" and self.wait_event in HEAVYWEIGHT

    @property
    def active(self) -> bool:
        """Runs a statement: on CPU, in I/O, or waiting inside the server."""
        return self.state in ("active", "fastpath function call") and self.wait_type != "Client"

    @property
    def idle_in_transaction(self) -> bool:
        """Holds a transaction open and does nothing."""
        return self.state.startswith("idle in transaction")


@fact
@dataclass(frozen=True, slots=True)
class Activity:
    """All client sessions but ours at one moment.

    ``hidden`` are those whose state this role may not see, ``untracked`` those that report none
    (track_activities is off), ``own`` our own. ``workers`` are the server's own processes in a
    transaction (autovacuum, replication) and a standby's replay of the WAL: no client's
    connection, but they hold locks too; each one's application is its kind.
    """

    sessions: tuple[Session, ...]
    hidden: int
    own: int
    untracked: int = 0
    workers: tuple[Session, ...] = ()

    @property
    def replay(self) -> Session | None:
        """The process that replays the primary's WAL on a standby; None on a primary."""
        return next((w for w in self.workers if w.application == REPLAY), None)

    def require_visible(self, server: Server) -> None:
        """Raise Unavailable unless the sessions' states can be seen."""
        of_all = f"of {len(self.sessions)} sessions do"
        if self.hidden:
            raise Unavailable(
                f"role {server.role} cannot see what {self.hidden} {of_all}", server.grant
            )
        if self.untracked:
            raise Unavailable(
                f"track_activities is off: nobody can see what {self.untracked} {of_all}",
                "ALTER SYSTEM SET track_activities = on; SELECT pg_reload_conf();",
            )


# The query goes as bytes: it is in the encoding of its own database, on which left() would fail.
_ACTIVITY = """
SELECT a.pid, coalesce(a.datname::text, '') AS database, coalesce(a.usename::text, '') AS "user",
       CASE WHEN {client} THEN coalesce(a.application_name, '') ELSE a.backend_type
       END AS application,
       CASE WHEN a.client_addr IS NOT NULL THEN host(a.client_addr) ELSE '' END AS client,
       coalesce(a.state, '') AS state,
       coalesce(a.wait_event_type, '') AS wait_type, coalesce(a.wait_event, '') AS wait_event,
       coalesce(extract(epoch FROM clock_timestamp() - a.backend_start), 0)::float8 AS backend_age,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS transaction_age,
       extract(epoch FROM clock_timestamp() - a.query_start)::float8 AS query_age,
       extract(epoch FROM clock_timestamp() - a.state_change)::float8 AS state_age,
       greatest(age(a.backend_xid), age(a.backend_xmin)) AS xid_age,
       {query_id} AS query_id,
       CASE WHEN a.state <> 'idle' THEN substring(textsend(a.query) FROM 1 FOR 4000) END AS query,
       CASE WHEN a.wait_event_type = 'Lock' THEN pg_blocking_pids(a.pid) END AS blockers,
       a.query = '<insufficient privilege>' AS hidden,
       a.pid = pg_backend_pid() OR a.application_name = 'scaledoctor' AS own,
       NOT {client} AS worker
FROM pg_stat_activity a
WHERE CASE WHEN {client} THEN a.datid IS NOT NULL AND a.usesysid IS NOT NULL
      ELSE a.backend_type = '{replay}'
           OR (a.xact_start IS NOT NULL AND a.backend_type <> 'parallel worker') END
"""

_CLIENT = "coalesce(a.backend_type, 'client backend') = 'client backend'"


@probe(cost="1 query, 1 to 3 ms, twice a second", cadence=Cadence.SAMPLED)
async def activity(pg: PostgresSession) -> Activity:
    """Read pg_stat_activity; pg_blocking_pids only for the sessions that wait for a lock."""
    query_id = "coalesce(a.query_id::text, '')" if pg.version >= 140000 else "''"
    rows = await pg.rows(_ACTIVITY.format(query_id=query_id, client=_CLIENT, replay=REPLAY))
    clients = [row for row in rows if not row["worker"]]
    others = [row for row in clients if not row["own"]]
    return Activity(
        sessions=tuple(_session(pg, row) for row in others),
        hidden=sum(bool(row["hidden"]) for row in others),
        own=len(clients) - len(others),
        untracked=sum(row["state"] == "disabled" for row in others),
        workers=tuple(_session(pg, row) for row in rows if row["worker"]),
    )


def _session(pg: PostgresSession, row: dict[str, Any]) -> Session:
    row = {k: v for k, v in row.items() if k not in ("hidden", "own", "worker")}
    for age in ("backend_age", "transaction_age", "query_age", "state_age"):
        row[age] = None if row[age] is None else round(max(0.0, row[age]), 3)
    row["application"] = pg.redactor.text(row["application"])
    row["query"] = pg.redactor.sql(row["query"] or "")
    row["blockers"] = tuple(row["blockers"] or ())
    return Session(**row)
