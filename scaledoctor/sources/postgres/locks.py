"""Who holds and who awaits which lock, read only while somebody waits."""

from dataclasses import dataclass

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.postgres.activity import Activity
from scaledoctor.sources.postgres.session import PostgresSession


@fact
@dataclass(frozen=True, slots=True)
class Lock:
    """One lock held or awaited.

    ``relation`` is "schema.table", or "relation 16402 in database shop" when that is another
    database than ours; empty for locks on something else.
    """

    pid: int
    kind: str
    mode: str
    granted: bool
    relation: str

    @property
    def elsewhere(self) -> bool:
        """Whether it is a relation of another database, known by its number alone."""
        return self.relation.startswith("relation ")


@fact
@dataclass(frozen=True, slots=True)
class LockTable:
    """The locks of waiters and their blockers at one moment; empty while nobody waits."""

    locks: tuple[Lock, ...]

    def awaited(self, pid: int) -> Lock | None:
        """What a session waits for."""
        return next((lock for lock in self.locks if lock.pid == pid and not lock.granted), None)

    def ahead(self, pid: int) -> tuple[int, ...]:
        """The sessions that hold any lock on the relation which a session awaits."""
        wanted = self.awaited(pid)
        name = wanted.relation if wanted else ""
        holders = {lock.pid for lock in self.locks if lock.granted and lock.relation == name}
        return tuple(sorted(holders - {pid})) if name else ()

    def row_lockers(self, waiter: int) -> tuple[int, ...]:
        """Who locked rows, and changed none, of the table on whose row a session waits.

        A waiter holds the row's tuple lock: its place at the head of the queue.
        """
        places = [lock for lock in self.locks if lock.pid == waiter and lock.kind == "tuple"]
        row = next((lock.relation for lock in places if lock.granted), "")
        modes: dict[int, set[str]] = {}
        for lock in self.locks:
            if row and lock.kind == "relation" and lock.granted and lock.relation == row:
                modes.setdefault(lock.pid, set()).add(lock.mode)
        return tuple(
            pid for pid, held in modes.items()
            if "RowShareLock" in held and "RowExclusiveLock" not in held
        )  # fmt: skip

    def held(self, pid: int, relation: str) -> tuple[str, ...]:
        """The modes in which a session holds a relation."""
        return tuple(
            lock.mode
            for lock in self.locks
            if lock.pid == pid and lock.granted and lock.relation == relation
        )


# Waiters first, then what their blockers hold on the relations that somebody awaits: an
# anti-wraparound vacuum or a dump may hold thousands of locks that nobody asks about. Who is in
# the way of a standby's replay is known from here alone, and so is who else locked a row. The
# shared lock table is read once.
_LOCKS = """
WITH here AS (
    SELECT oid FROM pg_database WHERE datname = current_database()
), seen AS MATERIALIZED (
    SELECT pid, locktype, mode, granted, relation, database FROM pg_locks
), replayed AS (
    SELECT l.database, l.relation FROM seen l
    WHERE l.pid = %(replay)s AND NOT l.granted AND l.relation IS NOT NULL
), rows AS (
    SELECT l.database, l.relation FROM seen l
    WHERE l.pid = ANY(%(pids)s) AND l.locktype = 'tuple' AND l.granted
), involved AS (
    SELECT * FROM seen l
    WHERE l.pid = ANY(%(pids)s)
          OR (l.granted AND l.locktype = 'relation' AND (l.database, l.relation) IN
              (SELECT * FROM replayed UNION ALL SELECT * FROM rows))
), awaited AS (
    SELECT DISTINCT database, relation FROM involved WHERE NOT granted AND relation IS NOT NULL
)
SELECT i.pid, i.locktype AS kind, i.mode, i.granted,
       coalesce(n.nspname || '.' || c.relname,
                'relation ' || i.relation || ' in database ' || d.datname, '') AS relation
FROM involved i
LEFT JOIN pg_class c ON c.oid = i.relation AND i.database IN (0, (SELECT oid FROM here))
LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_database d ON d.oid = i.database
WHERE NOT i.granted OR i.locktype = 'tuple'
      OR (i.database, i.relation) IN (SELECT * FROM awaited UNION ALL SELECT * FROM rows)
      OR (i.locktype = 'relation' AND c.relkind IN ('r', 'p', 'm')
          AND i.mode NOT IN ('AccessShareLock'))
ORDER BY i.granted
LIMIT 2000
"""


@probe(cost="1 query, 1 to 5 ms, only while somebody waits", cadence=Cadence.SAMPLED)
async def locks(pg: PostgresSession, activity: Activity) -> LockTable:
    """Read pg_locks for the sessions that wait and the ones that they wait for."""
    waiting = [s for s in (*activity.sessions, *activity.workers) if s.blocked]
    if not waiting:
        return LockTable(())
    pids = {s.pid for s in waiting}.union(*(s.blockers for s in waiting))
    replay = activity.replay
    asked = {"pids": sorted(pids), "replay": replay.pid if replay else None}
    return LockTable(tuple(Lock(**row) for row in await pg.rows(_LOCKS, asked)))
