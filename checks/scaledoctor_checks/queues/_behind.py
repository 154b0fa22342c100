"""The database behind a queue's workers, and behind the queue itself where it is a table."""

from dataclasses import dataclass

from scaledoctor.sdk import Window
from scaledoctor.sources.postgres import Activity
from scaledoctor.sources.postgres.queues import QueueTables
from scaledoctor_checks.queues._database import Held
from scaledoctor_checks.queues._fetching import Fetching, fetching, table_of
from scaledoctor_checks.queues._flow import Flow

FELT = 0.5
"""Sessions, on the mean, that take jobs from a table: below it is what polling costs."""


@dataclass(frozen=True, slots=True)
class Database:
    """What the workers do in it, and its tables of jobs."""

    held: Held | None
    activity: Window[Activity] | None
    tables: QueueTables | None

    def taking(self, flow: Flow) -> Fetching | None:
        """The sessions that take this queue's jobs from its table; None without a table."""
        table = table_of(flow.queue, self.tables)
        return fetching(self.activity, table) if table else None

    def waits_for(self, flow: Flow) -> dict[str, float]:
        """The shares of a queue's workers' time, by resource, that they wait there."""
        shares = self.held.waits_for(flow.busy) if self.held else {}
        taking = self.taking(flow)
        if taking and taking.sessions >= FELT:
            shares[taking.key] = taking.share(flow.busy)
        return shares
