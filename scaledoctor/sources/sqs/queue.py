"""The attributes of a queue, of the one that takes its dead letters, and both as shared model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from scaledoctor.sdk import Cadence, Unavailable, Unreachable, fact, probe
from scaledoctor.sources.queues import Queue, Queues
from scaledoctor.sources.sqs.session import SqsSession

EVERY = 5.0
"""Seconds between two looks: the numbers are approximate, and settle within a minute."""


@dataclass(frozen=True, slots=True)
class SqsQueue:
    """One queue; times in seconds, the numbers are Amazon's approximations.

    ``dead_letters`` is the queue that takes what was received ``most_receives`` times.
    """

    name: str
    visible: int
    in_flight: int
    delayed: int
    visibility: int
    retention: int
    wait: int
    fifo: bool = False
    dead_letters: str | None = None
    most_receives: int | None = None


@fact
@dataclass(frozen=True, slots=True)
class SqsQueues:
    """The queue that was named, and the one that takes its dead letters, if we may see it."""

    queue: SqsQueue
    dead_letters: SqsQueue | None = None


@fact
@dataclass(frozen=True, slots=True)
class SqsSources:
    """The queues whose dead letters come to the one that was named."""

    names: tuple[str, ...]


@probe(cost="1 request")
async def sqs_sources(sqs: SqsSession) -> SqsSources:
    """Ask ListDeadLetterSourceQueues for the first thousand."""
    try:
        found = await sqs.ask("ListDeadLetterSourceQueues", QueueUrl=sqs.url)
    except Unreachable as no:
        raise Unavailable(no.message, no.enable) from None
    urls = found.get("queueUrls")
    names = [str(u).rpartition("/")[2] for u in urls] if isinstance(urls, list) else []
    return SqsSources(tuple(map(sqs.redactor.text, sorted(names))))


@probe(cost="2 requests each 5 s", cadence=Cadence.SAMPLED, every=EVERY)
async def sqs_queues(sqs: SqsSession) -> SqsQueues:
    """Ask GetQueueAttributes for both queues."""
    try:
        queue = _queue(sqs, await sqs.attributes(sqs.url), sqs.url)
    except Unreachable as no:
        raise Unavailable(no.message, no.enable) from None
    if queue.dead_letters is None:
        return SqsQueues(queue)
    other = sqs.other(queue.dead_letters)
    try:
        return SqsQueues(queue, _queue(sqs, await sqs.attributes(other), other))
    except (Unreachable, Unavailable):
        return SqsQueues(queue)


def _queue(sqs: SqsSession, found: Mapping[str, str], url: str) -> SqsQueue:
    target, most = _redrive(found.get("RedrivePolicy", ""))
    return SqsQueue(
        name=sqs.redactor.text(found.get("QueueArn", url.replace("/", ":")).rpartition(":")[2]),
        visible=_number(found, "ApproximateNumberOfMessages"),
        in_flight=_number(found, "ApproximateNumberOfMessagesNotVisible"),
        delayed=_number(found, "ApproximateNumberOfMessagesDelayed"),
        visibility=_number(found, "VisibilityTimeout"),
        retention=_number(found, "MessageRetentionPeriod"),
        wait=_number(found, "ReceiveMessageWaitTimeSeconds"),
        fifo=found.get("FifoQueue") == "true",
        dead_letters=target,
        most_receives=most,
    )


def _number(found: Mapping[str, str], name: str) -> int:
    """An attribute that every queue has.

    Raises:
        Unavailable: this one has it not.

    """
    text = found.get(name, "")
    if not text.isdigit():
        raise Unavailable(f"SQS does not tell {name} of the queue")
    return int(text)


def _redrive(text: str) -> tuple[str | None, int | None]:
    """The name of the queue for dead letters, and after how many receives."""
    try:
        found = json.loads(text)
        most = found.get("maxReceiveCount")  # Amazon writes a number, others text
        return str(found["deadLetterTargetArn"]).rpartition(":")[2], int(most) if most else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, None


@probe(cost="none: what SqsQueues read", cadence=Cadence.SAMPLED, every=EVERY)
async def sqs_queue_model(sqs: SqsSession, found: SqsQueues, sources: SqsSources | None) -> Queues:
    """Put both into the shared model; SQS tells neither ages nor who receives."""
    queue, dead = found.queue, found.dead_letters
    grave = Queue("sqs", dead.name, ready=0, dead=dead.visible) if dead else None
    if sources and sources.names:
        own = Queue("sqs", queue.name, ready=0, dead=queue.visible)
    else:
        own = Queue(
            system="sqs",
            name=queue.name,
            ready=queue.visible,
            in_flight=queue.in_flight,
            scheduled=queue.delayed,
            timeout=float(queue.visibility),
        )
    return Queues((own, grave) if grave else (own,))
