"""The workers' sessions that are busy with nothing but taking their jobs."""

from collections.abc import Iterator

from scaledoctor.sdk import Step, Use, Window, resource
from scaledoctor.sources.postgres import Activity, Server
from scaledoctor.sources.postgres.queues import QueueTables
from scaledoctor.sources.queues import Queues
from scaledoctor_checks.queues._fetching import fetching, table_of
from scaledoctor_checks.queues._flow import flows


@resource("queue.fetch", step=Step.TIGHTEN)
def fetch(
    tables: QueueTables,
    server: Server,
    activity: Window[Activity],
    window: Window[Queues],
    /,
    *,
    warn: float = 0.25,
    critical: float = 0.5,
) -> Iterator[Use]:
    """Time that workers spend on taking jobs from a table, of all their time.

    How measured: mean sessions in a statement that takes jobs from the table or ends them, over
    these and the jobs worked on. Contended from a mean of one such session while jobs wait.
    Thresholds: a library takes a job in a millisecond; from ``warn`` of the workers' time on it
    is felt, from ``critical`` on workers mostly look for work.
    """
    activity.last.require_visible(server)
    found = list(flows(window))
    for table in tables.queues:
        taking = fetching(activity, table)
        mine = [f for f in found if table_of(f.queue, tables) is table]
        if taking is None or not mine:
            continue
        busy = sum(f.busy or 0.0 for f in mine)
        yield Use(
            used=taking.sessions,
            limit=max(taking.sessions + busy, 1.0),
            unit="sessions of workers",
            warn=warn,
            critical=critical,
            waiting=float(sum(f.queue.ready for f in mine)),
            contended=taking.sessions >= 1.0 and any(f.never_empty for f in mine),
            scales=False,
            subject=table.label,
        )
