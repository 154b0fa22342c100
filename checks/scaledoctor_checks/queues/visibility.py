"""Jobs that take so long that they are handed out once more."""

from collections.abc import Iterator

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Kind,
    Severity,
    Step,
    Window,
    check,
)
from scaledoctor.sources.queues import Queue, Queues
from scaledoctor_checks.postgres._words import duration
from scaledoctor_checks.queues._flow import flows, require_told
from scaledoctor_checks.queues._words import SOURCE

TOLD = ("sqs",)
"""Systems that tell their time-out; of any other it is the default."""


@check("queue.visibility-timeout", step=Step.OFFLOAD)
def visibility_timeout(window: Window[Queues], /, *, share: float = 0.5) -> Iterator[Finding]:
    """Jobs are held nearly as long as the time after which they are handed out again.

    Why: the same job then runs twice at once, and again after the next time-out: the load grows
    by itself, and mails are sent twice.
    How measured: the age of the longest held job, from ``share`` of the time-out on: there jobs
    of twice that length are no rarity. Tasks with a time to wait for are held too, by Celery.
    Celery's time-out is not told: its default of an hour is taken.
    Fix: a time-out longer than the longest job and the longest wait, or shorter jobs.
    When to ignore: the time-out is already longer; jobs bear being run twice.
    References: kombu, visibility_timeout; Celery issues 2599, 3430, 5935; Amazon SQS, visibility.
    """
    found = list(flows(window))
    require_told(found, _tells, "for how long a job has been held")
    for flow in found:
        queue = flow.queue
        if queue.held is None or not queue.timeout or flow.consumers == 0:
            continue  # without workers queue.stuck-in-flight tells it
        if queue.held < share * queue.timeout:
            continue
        over = queue.held >= queue.timeout
        told = queue.system in TOLD
        word = "" if told else " (the default)"
        yield Finding(
            subject=queue.label,
            summary=f"a job of {queue.label} is held for {duration(queue.held)}; after "
            f"{duration(queue.timeout)}{word} it is handed out again",
            severity=Severity.HIGH,
            confidence=Confidence.HIGH if told else Confidence.MEDIUM,
            evidence=(
                Evidence("longest held job", queue.held, "s", share * queue.timeout, SOURCE),
                Evidence("time-out", queue.timeout, f"s{word}", source=SOURCE),
            ),
            fixes=(_fix(queue, queue.held),),
            impact=min(1.0, 1 / max(1, (queue.in_flight or 0) + (queue.reserved or 0))),
            kind=Kind.LIVE if over else Kind.RISK,
        )


def _tells(queue: Queue) -> bool:
    """It says since when, or nothing is held that could be too old."""
    return queue.held is not None or not (queue.in_flight or queue.reserved)


def _fix(queue: Queue, held: float) -> Fix:
    longer = round(max(2 * (queue.timeout or 0.0), 2 * held))
    name = f"broker_transport_options = {{'visibility_timeout': {longer}}}"
    return Fix(
        f"Set the time-out above the longest job: {duration(longer)}",
        (name if queue.system == "celery" else f"visibility timeout = {longer} s",
         "# the same for every worker and producer; or cut long jobs into parts"),
        "text",
        risk="a job whose worker dies comes back that much later",
        verify="scaledoctor scan again: held below half of the time-out",
        undo="the old time-out",
    )  # fmt: skip
