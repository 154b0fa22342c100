"""The workers of each queue: how much of what they can do they do."""

from collections.abc import Iterator
from dataclasses import replace

from scaledoctor.sdk import Step, Use, Window, resource
from scaledoctor.sources.host import CpuTimes, HostInfo
from scaledoctor.sources.postgres import Activity, Server
from scaledoctor.sources.postgres.queues import QueueTables
from scaledoctor.sources.queues import Queue, Queues
from scaledoctor_checks.postgres._words import duration
from scaledoctor_checks.queues._behind import Database
from scaledoctor_checks.queues._database import held
from scaledoctor_checks.queues._flow import Flow, flows
from scaledoctor_checks.queues._words import course, depth


@resource("queue.workers", step=Step.OFFLOAD)
def workers(
    window: Window[Queues],
    activity: Window[Activity] | None,
    server: Server | None,
    cpu: Window[CpuTimes] | None,
    info: HostInfo | None,
    tables: QueueTables | None,
    /,
    *,
    warn: float = 0.8,
    critical: float = 0.95,
) -> Iterator[Use]:
    """Jobs worked on against the slots of the workers, for each queue.

    How measured: jobs in flight over slots where the framework tells them; otherwise arrivals
    over what the workers did per second while jobs waited all the time, which is their capacity.
    A queue with jobs and without anybody to take them is full. Only a queue whose jobs wait for
    a minute and more, or that never drains, is contended: one that drains soon is at work.
    Thresholds: full from ``critical`` of the slots, so that a slot between two jobs counts as
    used; busy from ``warn``, where a queue with random arrivals starts to wait five services long.
    """
    database = Database(held(activity, server, cpu, info), activity, tables)
    for flow in flows(window):
        use = _use(flow, database, warn, critical)
        if use is not None:
            times = (at for at, _ in window.samples)
            yield _over_time(use, Window(tuple(zip(times, flow.readings, strict=True))))


def _over_time(use: Use, readings: Window[Queue]) -> Use:
    """With what was worked on, where the framework tells it, and the jobs that waited."""
    told = use.unit == "slots" and all(queue.in_flight is not None for queue in readings)
    busy = readings.history(lambda queue: queue.in_flight or 0) if told else ()
    return replace(use, history=busy, queued=readings.history(lambda queue: queue.ready))


def _use(flow: Flow, database: Database, warn: float, critical: float) -> Use | None:
    queue = flow.queue
    if queue.ready and flow.consumers == 0:
        used, limit, unit = 1.0, 1.0, "of no workers"
    elif queue.slots and flow.busy is not None:
        used, limit, unit = flow.busy, float(queue.slots), "slots"
    elif flow.arrival is not None and flow.service and flow.never_empty:
        used, limit, unit = flow.arrival, flow.service, "jobs/s"
    else:
        return None
    return Use(
        used=used,
        limit=limit,
        unit=unit,
        warn=warn,
        critical=critical,
        waiting=float(queue.ready),
        contended=flow.needy and not queue.paused,
        waits_for=database.waits_for(flow) if flow.needy else {},
        subject=queue.label,
        detail=_detail(flow, used, limit, unit) if queue.ready else "",
    )


def _detail(flow: Flow, used: float, limit: float, unit: str) -> str:
    if flow.consumers == 0:
        return f"{depth(flow.queue)} wait and nobody takes them"
    wait = f", {duration(flow.wait)} for a new one" if flow.wait is not None else ""
    full = f"{used:.1f} of {limit:.0f} {unit}; " if unit == "slots" else ""
    return f"{full}{depth(flow.queue)} wait{wait}; {course(flow)}"
