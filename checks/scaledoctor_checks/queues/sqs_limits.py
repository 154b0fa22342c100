"""Messages in flight at Amazon SQS: there is an end to them."""

from collections.abc import Iterator

from scaledoctor.sdk import (
    Evidence,
    Finding,
    Fix,
    Severity,
    Step,
    Use,
    Window,
    check,
    resource,
)
from scaledoctor.sources.sqs import SqsQueue, SqsQueues
from scaledoctor_checks.postgres._words import duration

SOURCE = "GetQueueAttributes"

MOST = 120_000
"""Messages in flight of one queue (Amazon SQS, message quotas; FIFO had 20,000 before 2024)."""


@resource("sqs.in-flight", step=Step.OFFLOAD)
def in_flight(window: Window[SqsQueues], /, *, warn: float = 0.8, critical: float = 0.95) -> Use:
    """Messages that are received and not deleted, of the 120,000 that a queue may have.

    How measured: ApproximateNumberOfMessagesNotVisible, the most seen.
    Thresholds: busy from ``warn``, saturated from ``critical``: beyond the limit a standard queue
    refuses with OverLimit, and a FIFO queue gives nothing more without a word.
    """
    return Use(
        used=window.peak(lambda s: s.queue.in_flight),
        limit=float(MOST),
        unit="messages",
        warn=warn,
        critical=critical,
        waiting=window.mean(lambda s: s.queue.visible),
        subject=window.last.queue.name,
        history=window.history(lambda s: s.queue.in_flight),
        queued=window.history(lambda s: s.queue.visible),
    )


@check("sqs.in-flight-limit", step=Step.OFFLOAD)
def in_flight_limit(window: Window[SqsQueues], /, *, near: float = 0.8) -> Iterator[Finding]:
    """A queue of SQS is near the end of what may be in flight.

    Why: from 120,000 messages on nobody receives any more, however many wait, until some are
    deleted or their visibility timeout ends.
    How measured: ApproximateNumberOfMessagesNotVisible from ``near`` of the limit on; critical at
    it. Threshold: the number is approximate, and late by up to a minute.
    Fix: delete each message when it is done; a shorter visibility timeout frees what was lost.
    When to ignore: never.
    References: Amazon SQS, message quotas; error OverLimit.
    """
    queue, most = window.last.queue, window.peak(lambda s: s.queue.in_flight)
    if most < near * MOST:
        return
    yield Finding(
        subject=f"sqs {queue.name}",
        summary=f"{most:,.0f} messages of {queue.name} are in flight, of {MOST:,}; "
        f"{queue.visible:,} wait",
        severity=Severity.CRITICAL if most >= MOST else Severity.HIGH,
        evidence=(
            Evidence("in flight, most", most, f"of {MOST}", near * MOST, SOURCE),
            Evidence("visible", float(queue.visible), "messages", source=SOURCE),
            Evidence("visibility timeout", float(queue.visibility), "s", source=SOURCE),
        ),
        fixes=(_delete(queue),),
        explains={f"sqs.in-flight:{queue.name}": 1.0},
        impact=queue.visible / max(1.0, queue.visible + most),
    )


def _delete(queue: SqsQueue) -> Fix:
    return Fix(
        f"Delete each message of {queue.name} once it is done; receive what is worked on",
        (
            "sqs.delete_message(QueueUrl=url, ReceiptHandle=message['ReceiptHandle'])",
            "sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20)",
            f"# what a worker lost is free again after {duration(float(queue.visibility))}",
        ),
        "text",
        risk="a message that is deleted before its work is done is lost",
        verify="scaledoctor scan again: in flight falls",
        undo="the old code",
    )
