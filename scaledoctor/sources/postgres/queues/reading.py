"""The queues that PostgreSQL's tables hold, in the one model of all queues."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scaledoctor.sdk import Cadence, Unavailable, probe
from scaledoctor.sources.postgres.queues._family import Family
from scaledoctor.sources.postgres.queues._jobs import (
    Count,
    Jobs,
    count,
    grant,
    highest,
    readable,
    rows_of,
)
from scaledoctor.sources.postgres.queues.tables import EVERY, QueueTable, QueueTables
from scaledoctor.sources.postgres.session import PostgresSession
from scaledoctor.sources.queues import Queue, Queues, Unread
from scaledoctor.sql import identifier

MOST_TABLES = 50
"""Tables of jobs read at each look, the largest first; pgmq has one for each queue."""

FEW_DELETED = 0.2
"""Rows deleted per row that came, up to which what is still there tells how many came."""


@dataclass(slots=True)
class Memory:
    """What a table's first reading leaves to the next ones: its counters, its highest id."""

    inserted: int
    deleted: int
    mark: int | None = None
    read: bool = False
    names: set[str] = field(default_factory=set)
    lost: Unread | None = None


@dataclass(frozen=True, slots=True)
class Crew:
    """Who takes jobs: (names, consumers, slots) for each group; None where nothing tells."""

    groups: Sequence[tuple[str, int, int | None]] | None
    paused: frozenset[str] = frozenset()

    def of(self, queue: str) -> tuple[int | None, int | None]:
        """Consumers and slots of a queue."""
        if self.groups is None:
            return None, None
        mine = [g for g in self.groups if any(_fits(n, queue) for n in g[0].split(","))]
        slots = [s for _, _, s in mine if s is not None]
        return sum(n for _, n, _ in mine), sum(slots) if slots else None


def _fits(pattern: str, queue: str) -> bool:
    name = pattern.strip()
    return queue.startswith(name[:-1]) if name.endswith("*") else name == queue


@probe(
    cost="1 or 2 queries for each table of jobs, at most 10,000 rows of each state, every 2 s",
    cadence=Cadence.SAMPLED,
    every=EVERY,
)
async def postgres_queues(pg: PostgresSession, tables: QueueTables) -> Queues:
    """Count the jobs of every table that we may read; their arguments are never touched."""
    found: list[Queue] = []
    unread: list[Unread] = []
    for table in tables.queues[:MOST_TABLES]:
        look = _look(pg, table, tables)
        try:
            found += await _read(look)
        except Unavailable as no:
            lost = Unread(table.label, no.reason, no.enable)
            look.memory.lost = None if table.locked else lost  # a lock goes away, a right stays
            unread.append(lost)
    if unread and not found and len(unread) == len(tables.queues):
        raise Unavailable(unread[0].reason, unread[0].enable)
    complete = tables.complete and len(tables.queues) <= MOST_TABLES
    return Queues(tuple(found), complete, tuple(unread))


@dataclass(frozen=True, slots=True)
class _Look:
    """One table at one reading."""

    pg: PostgresSession
    family: Family
    table: QueueTable
    tables: QueueTables
    memory: Memory

    async def beside(
        self, query: str, parameters: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]] | None:
        """Rows from the tables beside the jobs; None where they are not there or not for us.

        A standby cannot read what is unlogged, as the registers of workers mostly are.
        """
        names = [n for n in self.family.needs if f".{n} " in f"{query} "]
        if not query or not readable(names, self.table, self.tables):
            return None
        try:
            return await rows_of(self.pg, query, self.table, parameters)
        except Unavailable:
            return None


def _look(pg: PostgresSession, table: QueueTable, tables: QueueTables) -> _Look:
    kept: dict[str, Memory] = pg.memory.setdefault("queues", {})
    memory = kept.setdefault(table.label, Memory(table.inserted, table.deleted))
    families: dict[tuple[str, str], Family] = pg.memory["families"]
    return _Look(pg, families[table.schema, table.name], table, tables, memory)


async def _read(look: _Look) -> list[Queue]:
    memory, family = look.memory, look.family
    if memory.lost:
        raise Unavailable(memory.lost.reason, memory.lost.enable)
    _may(look)
    if family.id and not memory.read:
        memory.mark = await highest(look.pg, family, look.table)
    memory.read = True
    jobs = await count(look.pg, family, look.table, look.tables, memory.mark)
    memory.names.update(jobs.counts)
    crew, ages = await _crew(look), await _ages(look, jobs)
    return [_queue(look, jobs, crew, name, ages.get(name)) for name in sorted(memory.names)]


def _may(look: _Look) -> None:
    """Raise Unavailable where the table is not for us, and say what would open it."""
    table, role = look.table, identifier(look.pg.role)
    if not table.readable:
        raise Unavailable(f"role {role} may not read {table.label}", grant(table).format(role=role))
    if table.hidden:
        raise Unavailable(
            f"row level security hides the rows of {table.label} from role {role}",
            f"ALTER ROLE {role} BYPASSRLS; or scan as the owner of the table",
        )
    if table.locked:
        raise Unavailable(f"somebody holds or awaits an exclusive lock on {table.label}")


async def _crew(look: _Look) -> Crew:
    groups = await look.beside(look.family.workers)
    paused = await look.beside(look.family.paused)
    # Statements that can only tell that nobody is left give no row while somebody is.
    known = groups if groups or look.family.counts_workers else None
    return Crew(
        None if known is None else [(g["queues"], g["consumers"], g["slots"]) for g in known],
        frozenset(row["queue"] for row in paused or ()),
    )


async def _ages(look: _Look, jobs: Jobs) -> dict[str, float]:
    """The age of each queue's first job among those that have no time of their own."""
    ready = {
        name: kinds["ready"].undated for name, kinds in jobs.counts.items() if "ready" in kinds
    }
    ids = {name: number for name, number in ready.items() if number is not None}
    if not ids:
        return {}
    rows = await look.beside(look.family.dated, {"ids": sorted(ids.values())}) or []
    ages = {row["id"]: row["age"] for row in rows}
    return {name: ages[number] for name, number in ids.items() if number in ages}


def _queue(look: _Look, jobs: Jobs, crew: Crew, name: str, undated: float | None) -> Queue:
    kinds = jobs.counts.get(name, {})
    ready = kinds.get("ready", Count())
    ages = [age for age in (ready.age, undated) if age is not None]
    consumers, slots = crew.of(name)

    def jobs_of(kind: str) -> int | None:
        return kinds.get(kind, Count()).jobs if kind in jobs.known else None

    flight = kinds.get("in_flight", Count())
    usual = look.table.schema == look.family.schema
    clean = look.pg.redactor.text(name)
    return Queue(
        system=look.family.system,
        name=clean if usual else f"{clean}@{look.table.schema}",
        ready=ready.jobs,
        oldest=round(max(0.0, *ages), 3) if ages else None,
        in_flight=jobs_of("in_flight"),
        slots=slots,
        consumers=consumers,
        scheduled=jobs_of("scheduled"),
        retrying=jobs_of("retrying"),
        dead=jobs_of("dead"),
        arrived=_arrived(look, jobs, kinds.get("arrived", Count())),
        paused=bool({name, "*"} & crew.paused),
        stuck=jobs_of("stuck"),
        held=None if flight.age is None else round(max(0.0, flight.age), 3),
        more=ready.more,
    )


def _arrived(look: _Look, jobs: Jobs, ours: Count) -> float | None:
    """Jobs that came since the first reading.

    One queue alone in its table is told by the table's counters. Among several, those that are
    still there tell, unless libraries or people delete them about as fast as they come.
    """
    memory, table = look.memory, look.table
    if len(memory.names) == 1:
        grown = table.inserted - memory.inserted
        return float(grown) if grown >= 0 else None
    if "arrived" not in jobs.known or ours.more:
        return None
    every = sum(kinds["arrived"].jobs for kinds in jobs.counts.values() if "arrived" in kinds)
    gone = table.deleted - memory.deleted
    return float(ours.jobs) if 0 <= gone <= FEW_DELETED * every else None
