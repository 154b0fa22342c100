"""Jobs in the hands of workers that are gone."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Severity, Step, Window, check
from scaledoctor.sources.queues import Queue, Queues
from scaledoctor_checks.postgres._words import duration
from scaledoctor_checks.queues._flow import Flow, flows, require_told
from scaledoctor_checks.queues._words import SOURCE, bare, jobs, start


@check("queue.stuck-in-flight", step=Step.OFFLOAD)
def stuck_in_flight(window: Window[Queues], /, *, least: int = 1) -> Iterator[Finding]:
    """Jobs are held by workers that are gone.

    Why: no queue length shows them, nobody works on them, and they come back late or never.
    How measured: jobs taken and not finished whose worker has no heartbeat, lock or lease any
    more, at least ``least`` of them at every reading of the window's second half that can tell.
    Fix: start a worker, which takes the lost jobs back after the time-out; find out what kills
    the workers: a lack of memory, a deployment that does not wait for them.
    When to ignore: never; a worker that is only slow keeps its heartbeat.
    References: Celery issues 3430 and 5935; kombu, visibility_timeout; BullMQ, stalled jobs.
    """
    found = list(flows(window))
    require_told(
        found, lambda q: q.stuck is not None, "which jobs are held by a worker that is gone"
    )
    for flow in found:
        later = flow.readings[len(flow.readings) // 2 :]
        count = min((q.stuck for q in later if q.stuck is not None), default=0)
        if count >= least:
            yield _finding(flow, count)


def _finding(flow: Flow, count: int) -> Finding:
    queue = flow.queue
    since = f", the oldest for {duration(queue.held)}" if queue.held is not None else ""
    back = f"; they come back after {duration(queue.timeout)}" if queue.timeout else ""
    held = count + (queue.in_flight or 0)
    return Finding(
        subject=queue.label,
        summary=f"{jobs(count)} of {queue.label} are held by workers that are gone{since}{back}",
        severity=Severity.HIGH,
        evidence=(
            Evidence("jobs without a living worker", float(count), "jobs", 1.0, SOURCE),
            Evidence("jobs in flight", float(queue.in_flight or 0), "jobs", source=SOURCE),
            Evidence("workers alive", "not known" if flow.consumers is None else
                     float(flow.consumers), "workers", source=SOURCE),
        ),
        fixes=tuple(_fixes(queue)),
        # Without any worker the queue as a whole stands still: that is the cause.
        waits_for={flow.key: 1.0} if flow.consumers == 0 and queue.ready else {},
        impact=count / (max(held, count) + queue.ready),
    )  # fmt: skip


def _fixes(queue: Queue) -> Iterator[Fix]:
    if queue.system == "stream":
        stream, _, group = bare(queue).partition("/")
        yield Fix(
            "Let a living consumer take them over",
            (f"redis-cli XAUTOCLAIM {stream} {group} CONSUMER 300000 0-0 COUNT 10",),
            "shell",
            risk="a job that was half done is done once more",
            verify=f"redis-cli XPENDING {stream} {group} IDLE 300000 - + 10",
            undo="none: the messages belong to that consumer now",
        )
        return
    yield Fix(
        f"Start a worker of {queue.label}: it takes back what the lost ones held",
        (start(queue), "journalctl -k --since -1h | grep -i 'killed process'"),
        "shell",
        risk="a job that was half done is done once more: it must bear that",
        verify="scaledoctor scan again: nothing is held without a worker",
        undo="stop it with SIGTERM",
    )
