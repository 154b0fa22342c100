"""Jobs wait, and nobody takes them."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Severity, Step, Unavailable, Window, check
from scaledoctor.sources.queues import Queues
from scaledoctor_checks.postgres._words import duration
from scaledoctor_checks.queues._flow import Flow, flows
from scaledoctor_checks.queues._words import SOURCE, depth, start

BY_CLIENTS = frozenset({"celery", "stream"})
"""Systems on Redis whose workers are known by their connections or heartbeats."""

LOOK = "look for 5 s and more; on Redis allow +client|list and +psubscribe"


@check("queue.no-workers", step=Step.OFFLOAD)
def no_workers(
    window: Window[Queues], /, *, grace: float = 30.0, critical: float = 60.0
) -> Iterator[Finding]:
    """Jobs wait in a queue that no worker takes from.

    Why: they wait for ever; users see nothing but that nothing happens.
    How measured: workers alive at no reading of the window, by their heartbeats, registrations or
    connections, while jobs waited at every one. Younger jobs than ``grace`` seconds are let pass:
    a deployment restarts its workers. Critical from ``critical`` seconds, as peers alert, and
    where no age is known. Plain lists, Huey and SQS never tell who takes from them: they are
    skipped.
    Fix: start a worker for this queue, or send its jobs to one that has workers.
    When to ignore: a queue that is worked off by a scheduled run (rq worker --burst).
    References: Sidekiq wiki, Monitoring; awesome-prometheus-alerts, RabbitMQ and Sidekiq.
    """
    waiting = [f for f in flows(window) if f.never_empty]
    seen = [f for f in waiting if f.consumers is not None]
    if waiting and not seen:
        which = ", ".join(f.queue.label for f in waiting[:3])
        seen_soon = any(f.queue.system in BY_CLIENTS for f in waiting)
        raise Unavailable(f"nothing tells who takes jobs from {which}", LOOK if seen_soon else "")
    every = sum(f.queue.ready for f in waiting)
    for flow in seen:
        age = flow.queue.oldest
        if flow.consumers or (age is not None and age < grace):
            continue
        urgent = age is None or age >= critical
        yield _finding(flow, Severity.CRITICAL if urgent else Severity.MEDIUM, every, grace)


def _finding(flow: Flow, severity: Severity, every: int, grace: float) -> Finding:
    queue = flow.queue
    since = f", the oldest for {duration(queue.oldest)}" if queue.oldest is not None else ""
    age = queue.oldest if queue.oldest is not None else "not kept"
    return Finding(
        subject=queue.label,
        summary=f"{depth(queue)} wait in {queue.label}{since}, and no worker takes from it",
        severity=severity,
        evidence=(
            Evidence("workers alive, most seen", 0.0, "workers", 1.0, SOURCE),
            Evidence("jobs waiting", float(queue.ready), "jobs", source=SOURCE),
            Evidence("age of the oldest", age, "s", grace, SOURCE),
            Evidence("change in the window", float(flow.grown), "jobs", source=SOURCE),
        ),
        fixes=(
            Fix(
                f"Start a worker for {queue.label}",
                (start(queue),),
                "shell",
                risk="what it does to the database and to others begins at once: start with one",
                verify="scaledoctor scan again: the queue drains",
                undo="stop it with SIGTERM: it ends its job first",
            ),
        ),
        explains={flow.key: 1.0},
        # None of these jobs is ever done: all of their time, for their share of what waits.
        impact=queue.ready / every,
    )
