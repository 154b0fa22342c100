"""Who holds and who awaits which lock, read only while somebody waits."""

from dataclasses import dataclass

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.postgres.activity import Activity
from scaledoctor.sources.postgres.session import PostgresSession


@fact
@dataclass(frozen=True, slots=True)
class Lock:
    """One lock held or awaited; ``relation`` is "schema.table" where it can be named."""

    pid: int
    kind: str
    mode: str
    granted: bool
    relation: str


@fact
@dataclass(frozen=True, slots=True)
class LockTable:
    """The locks of waiters and their blockers at one moment; empty while nobody waits."""

    locks: tuple[Lock, ...]

    def awaited(self, pid: int) -> Lock | None:
        """What a session waits for."""
        return next((lock for lock in self.locks if lock.pid == pid and not lock.granted), None)

    def held(self, pid: int, relation: str) -> tuple[str, ...]:
        """The modes in which a session holds a relation."""
        return tuple(
            lock.mode
            for lock in self.locks
            if lock.pid == pid and lock.granted and lock.relation == relation
        )


# Waiters first, then what their blockers hold on the relations that somebody awaits: an
# anti-wraparound vacuum or a dump may hold thousands of locks that nobody asks about.
_LOCKS = """
WITH involved AS (
    SELECT l.pid, l.locktype, l.mode, l.granted, l.relation, l.database
    FROM pg_locks l WHERE l.pid = ANY(%(pids)s)
), awaited AS (
    SELECT DISTINCT relation FROM involved WHERE NOT granted AND relation IS NOT NULL
)
SELECT i.pid, i.locktype AS kind, i.mode, i.granted,
       coalesce(n.nspname || '.' || c.relname, '') AS relation
FROM involved i
LEFT JOIN pg_class c ON c.oid = i.relation
     AND i.database = (SELECT oid FROM pg_database WHERE datname = current_database())
LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT i.granted OR i.relation IN (SELECT relation FROM awaited)
      OR (i.locktype = 'relation' AND c.relkind IN ('r', 'p', 'm')
          AND i.mode NOT IN ('AccessShareLock'))
ORDER BY i.granted
LIMIT 2000
"""


@probe(cost="1 query, 1 to 5 ms, only while somebody waits", cadence=Cadence.SAMPLED)
async def locks(pg: PostgresSession, activity: Activity) -> LockTable:
    """Read pg_locks for the sessions that wait and the ones that they wait for."""
    waiting = [s for s in activity.sessions if s.blocked]
    if not waiting:
        return LockTable(())
    pids = {s.pid for s in waiting}.union(*(s.blockers for s in waiting))
    rows = await pg.rows(_LOCKS, {"pids": sorted(pids)})
    return LockTable(tuple(Lock(**row) for row in rows))
