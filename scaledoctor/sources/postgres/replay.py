"""How far a standby's replay is behind what it has received."""

from dataclasses import dataclass

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.postgres.server import Server
from scaledoctor.sources.postgres.session import PostgresSession


@fact
@dataclass(frozen=True, slots=True)
class Replay:
    """WAL that was received and not replayed, and the age of the last commit that was.

    ``waiting`` is in bytes, None on a primary and where WAL comes from an archive alone; ``age``
    in seconds, also old where the primary writes nothing.
    """

    waiting: int | None
    age: float | None


_REPLAY = """
SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::int8 AS waiting,
       extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 AS age
"""


@probe(cost="1 query on a standby, < 1 ms", cadence=Cadence.LAST)
async def replay(pg: PostgresSession, server: Server) -> Replay:
    """Ask a standby; a primary has nothing to replay."""
    if not server.in_recovery:
        return Replay(None, None)
    (row,) = await pg.rows(_REPLAY)
    return Replay(**row)
