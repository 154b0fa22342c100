"""One worker holds jobs that it has not begun, while others have nothing to do."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Severity, Step, Window, check
from scaledoctor.sources.queues import Queue, Queues
from scaledoctor_checks.queues._flow import flows, require_told
from scaledoctor_checks.queues._words import SOURCE, jobs


@check("queue.prefetch-hoard", step=Step.OFFLOAD)
def prefetch_hoard(
    window: Window[Queues], /, *, least: int = 3, readings: float = 0.5
) -> Iterator[Finding]:
    """Workers hold jobs that they have not begun, while others are idle.

    Why: the jobs wait behind a long one in one worker's hands; no queue length shows them.
    How measured: in ``readings`` of all readings nothing waits in the queue, a worker has nothing
    to do while another one has, and at least ``least`` jobs are handed out and not begun:
    Celery's default of four for each slot (worker_prefetch_multiplier), less the one that may be
    running.
    Fix: hand out one job at a time.
    When to ignore: many very short jobs, where fetching costs more than working.
    References: Celery, Optimizing: Prefetch Limits; Dramatiq, worker prefetch.
    """
    found = list(flows(window))
    require_told(
        found, lambda q: q.reserved is not None, "which jobs were handed out and not begun"
    )
    for flow in found:
        hoards = [
            q for q in flow.readings
            if not q.ready and _some_idle(q) and (q.reserved or 0) >= least
        ]  # fmt: skip
        if not hoards or len(hoards) < readings * len(flow.readings):
            continue
        queue = flow.queue
        idle = sum(q.idle or 0 for q in hoards) / len(hoards)
        held = sum(q.reserved or 0 for q in hoards) / len(hoards)
        workers = max(flow.consumers or 0, round(idle) + 1)
        yield Finding(
            subject=queue.label,
            summary=f"{jobs(held)} of {queue.label} wait in the hands of a busy worker while "
            f"{idle:.0f} of {workers} workers have nothing to do",
            severity=Severity.MEDIUM,
            evidence=(
                Evidence("handed out and not begun, mean", held, "jobs", float(least), SOURCE),
                Evidence("workers idle, mean", idle, f"of {workers}", 1.0, SOURCE),
                Evidence("jobs waiting in the queue", 0.0, "jobs", source=SOURCE),
            ),
            fixes=(_fix(queue),),
            impact=min(1.0, idle / workers) * len(hoards) / len(flow.readings),
        )


def _some_idle(queue: Queue) -> bool:
    """Where all are idle, what is held is in nobody's hands: it was left by a worker that ended."""
    idle = queue.idle or 0
    return idle >= 1 and (queue.consumers is None or idle < queue.consumers)


_SETTINGS = {
    "celery": (
        "worker_prefetch_multiplier = 1",
        "task_acks_late = True  # tasks must bear a rerun",
    ),
    "dramatiq": ("dramatiq_queue_prefetch=1",),
    "stream": ("XREADGROUP GROUP group consumer COUNT 1 STREAMS name >",),
}


def _fix(queue: Queue) -> Fix:
    return Fix(
        "Hand out one job at a time",
        _SETTINGS.get(queue.system, ("prefetch = 1",)),
        "text",
        risk="one more round trip for each job: up to a millisecond",
        verify="scaledoctor scan again: no idle worker while jobs are handed out",
        undo="the old setting",
    )
