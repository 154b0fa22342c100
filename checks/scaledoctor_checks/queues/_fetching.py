"""How much of the time goes into taking jobs out of a table of PostgreSQL."""

from dataclasses import dataclass

from scaledoctor.sdk import Window
from scaledoctor.sources.postgres import Activity
from scaledoctor.sources.postgres.queues import QueueTable, QueueTables
from scaledoctor.sources.queues import Queue

DEAD = 10_000
"""Dead rows below which a fetch reads through them in a few milliseconds."""


@dataclass(frozen=True, slots=True)
class Fetching:
    """``sessions``, on the mean, take or finish jobs of ``table`` and wait for no lock."""

    table: QueueTable
    sessions: float

    @property
    def key(self) -> str:
        """The resource that taking jobs from this table is."""
        return f"queue.fetch:{self.table.label}"

    def share(self, busy: float | None) -> float:
        """Of the workers' time, beside that of ``busy`` ones at work on jobs."""
        every = self.sessions + (busy or 0.0)
        return self.sessions / every if every else 0.0


def takes(table: QueueTable, statement: str) -> bool:
    """Whether a statement takes a job from this table, or ends one: not what puts them in."""
    text = statement.lower()
    return any(word in text for word in table.words) and not text.startswith("insert")


def among_dead(tables: QueueTables | None, statement: str) -> dict[str, float]:
    """Where a statement takes jobs from a table of dead rows: its resource, and their share."""
    return {
        Fetching(table, 0.0).key: table.dead / (table.dead + table.live)
        for table in (tables.queues if tables else ())
        if table.dead >= max(DEAD, table.live) and takes(table, statement)
    }


def fetching(activity: Window[Activity] | None, table: QueueTable) -> Fetching | None:
    """The sessions of the window that do so; None where their statements cannot be seen."""
    if activity is None or activity.last.hidden or activity.last.untracked:
        return None
    mean = activity.mean(
        lambda a: sum(s.active and not s.blocked and takes(table, s.query) for s in a.sessions)
    )
    return Fetching(table, mean)


def table_of(queue: Queue, tables: QueueTables | None) -> QueueTable | None:
    """The table that a queue's jobs are in; None for a queue of another system."""
    mine = [t for t in tables.queues if t.system == queue.system] if tables else []
    own = [t for t in mine if t.name == f"q_{queue.name}"]
    there = [t for t in mine if queue.name.endswith(f"@{t.schema}")]
    return next(iter(own or there or mine), None)
