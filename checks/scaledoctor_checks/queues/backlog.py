"""More comes than is done: the backlog grows for as long as that lasts."""

from collections.abc import Iterator

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Severity,
    Step,
    Window,
    check,
)
from scaledoctor.sources.host import CpuTimes, HostInfo
from scaledoctor.sources.postgres import Activity, Server
from scaledoctor.sources.postgres.queues import QueueTables
from scaledoctor.sources.queues import Queues
from scaledoctor_checks.postgres._words import duration
from scaledoctor_checks.queues._behind import Database
from scaledoctor_checks.queues._database import held
from scaledoctor_checks.queues._flow import GROWN, LATE, OVER, SPARE, Flow, flows
from scaledoctor_checks.queues._words import SOURCE, depth, rates, start

ACTIVITY = "pg_stat_activity"


@check("queue.backlog", step=Step.OFFLOAD)
def backlog(
    window: Window[Queues],
    activity: Window[Activity] | None,
    server: Server | None,
    cpu: Window[CpuTimes] | None,
    info: HostInfo | None,
    tables: QueueTables | None,
    /,
    *,
    critical: float = 1800.0,
    waiting: float = 0.5,
) -> Iterator[Finding]:
    """More jobs come than the workers do: the backlog never drains.

    Why: every new job waits longer than the one before it.
    How measured: the depth grew in each third of a window of 9 s and more, by more than 10 jobs
    and 5 %, and the oldest or a new one waits for 30 s (100 jobs where neither is known);
    critical from ``critical`` seconds. A burst grows once and is let pass. Workers needed = slots
    x arrivals / jobs done x 1.2. When ``waiting`` of the slots are workers that wait for a lock
    of the database, or for its full cores, or look for jobs in a table of dead rows, more workers
    do not help: that wait is the cause.
    Fix: more workers where they are busy and the database has room; first the database where they
    wait for it.
    When to ignore: a batch that is still being put in.
    References: Little, "A Proof for the Queuing Formula L = lambda W"; KEDA, queue scalers.
    """
    database = Database(held(activity, server, cpu, info), activity, tables)
    found = list(flows(window))
    every = sum(f.queue.ready for f in found)
    for flow in found:
        if flow.consumers == 0 or flow.queue.paused or flow.idle or not flow.never_drains:
            continue
        shares = database.waits_for(flow)
        starved = {name: share for name, share in shares.items() if share >= waiting}
        urgent = (flow.late or 0.0) >= critical
        yield Finding(
            subject=flow.queue.label,
            summary=_summary(flow, database, starved),
            severity=Severity.CRITICAL if urgent else Severity.HIGH,
            confidence=Confidence.MEDIUM if flow.service is None else Confidence.HIGH,
            evidence=tuple(_evidence(flow, database)),
            fixes=(_wait(database, starved) if starved else _more(flow),),
            explains={flow.key: 1.0},
            waits_for=starved,
            # A job's time is its wait and its service; of the queues' jobs this one has its share.
            impact=_lost(flow) * flow.queue.ready / every,
        )


def _lost(flow: Flow) -> float:
    """The share of a job's time that it waits; near 1 where nothing tells the service time."""
    wait = flow.late if flow.late is not None else LATE
    service = flow.slots / flow.service if flow.slots and flow.service else 0.0
    return wait / (wait + service)


def _summary(flow: Flow, database: Database, starved: dict[str, float]) -> str:
    queue = flow.queue
    head = f"{queue.label} never drains: {depth(queue)} wait, {rates(flow)}"
    taking = database.taking(flow)
    if taking and taking.key in starved:
        return (
            f"{head}; {starved[taking.key]:.0%} of its workers' time goes into taking jobs from "
            f"{taking.table.label}: more workers do not help"
        )
    if database.held and starved:
        what = "a lock" if "postgres.locks" in starved else "the full cores"
        share = max(starved.values())
        return (
            f"{head}; {share:.0%} of its busy workers ({database.held.label}) wait for {what} of "
            "the database: more workers do not help"
        )
    if flow.needed is not None:
        return f"{head}; it needs {flow.needed} workers, {flow.slots} are at work"
    none = flow.service == 0
    return f"{head}; its workers {'do none of them: are they alive?' if none else 'do not keep up'}"


def _evidence(flow: Flow, database: Database) -> Iterator[Evidence]:
    queue = flow.queue
    yield Evidence("growth in the window", float(flow.grown), "jobs", float(GROWN), SOURCE)
    yield Evidence("jobs waiting", float(queue.ready), "jobs", source=SOURCE)
    if flow.arrival is not None and flow.service is not None:
        yield Evidence("arrivals", flow.arrival, "jobs/s", flow.service, SOURCE)
        yield Evidence("jobs done", flow.service, "jobs/s", source=SOURCE)
    if flow.late is not None:
        how = "age of the oldest job" if queue.oldest is not None else "wait by Little's law"
        yield Evidence(how, flow.late, "s", LATE, SOURCE)
    if flow.needed is not None:
        text = f"ceil({flow.slots} x {flow.arrival:.1f} / {flow.service:.1f} x {SPARE})"
        yield Evidence("workers needed", float(flow.needed), f"= {text}", source=SOURCE)
    if theirs := database.held:
        yield Evidence("of its workers in the database, mean", theirs.open, "sessions",
                       source=ACTIVITY)  # fmt: skip
        yield Evidence("of these waiting for a lock", theirs.blocked, "sessions",
                       source=ACTIVITY)  # fmt: skip
    if taking := database.taking(flow):
        yield Evidence("sessions that take its jobs, mean", taking.sessions, "sessions",
                       source=ACTIVITY)  # fmt: skip


def _wait(database: Database, starved: dict[str, float]) -> Fix:
    label = database.held.label if database.held else "its workers"
    return Fix(
        f"Free what {label} waits for ({', '.join(sorted(starved))}); add no workers",
        (
            "# every further worker only waits beside the others, and takes a connection",
            "scaledoctor scan -v",
        ),
        "shell",
        risk="none: looking only",
        verify="scaledoctor scan again: the workers' sessions no longer wait",
        undo="none needed",
    )


def _more(flow: Flow) -> Fix:
    queue = flow.queue
    if flow.needed is None or flow.arrival is None or flow.service is None:
        sums = ["# how many workers there are is not told: double them and look again"]
        title = f"Add workers to {queue.label} until its depth falls"
    else:
        spare = flow.arrival * (SPARE - 1)
        sums = [
            f"# {flow.slots} at work do {flow.service:.1f}/s, {flow.arrival:.1f}/s come",
            f"# {flow.slots} x {flow.arrival:.1f} / {flow.service:.1f} x {SPARE} = {flow.needed}",
            f"# the fifth above works off the {queue.ready:,} in {duration(queue.ready / spare)}",
        ]
        title = f"Run {flow.needed} workers for {queue.label} instead of {flow.slots}"
    return Fix(
        title,
        (*sums, start(queue)),
        "shell",
        risk="each takes memory and a database connection: look at postgres.connections first",
        verify=f"scaledoctor scan again, {OVER:.0f} s and more: the depth falls",
        undo="stop them with SIGTERM: each ends its job first",
    )
