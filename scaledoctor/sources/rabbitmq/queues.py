"""RabbitMQ's queues in the words that all systems share."""

from time import monotonic

from scaledoctor.sdk import Cadence, probe
from scaledoctor.sources.queues import Queue, Queues
from scaledoctor.sources.rabbitmq._values import total
from scaledoctor.sources.rabbitmq.rows import REFRESH, RabbitQueue, RabbitQueues
from scaledoctor.sources.rabbitmq.session import RabbitSession

APART = 9.0
"""Seconds from the first reading of the counters to one that gives a rate: they move in steps of
five, so that a shorter time may hold one step or three."""


@probe(cost="none: what RabbitQueues read", cadence=Cadence.SAMPLED, every=REFRESH)
async def rabbit_queue_model(rabbit: RabbitSession, rows: RabbitQueues) -> Queues:
    """Put the rows into the shared model; a queue without contents yet is left out."""
    since = monotonic() - rabbit.memory.get("counted", -APART)
    told = since >= APART
    rabbit.memory.setdefault("counted", monotonic())
    shown = [q for q in rows.queues if q.ready is not None and q.kind != "stream"]
    return Queues(tuple(_queue(q, counted=told) for q in shown))


def _queue(row: RabbitQueue, *, counted: bool) -> Queue:
    ready = row.ready or 0
    if row.for_people:
        return Queue("rabbitmq", row.label, ready=0, dead=ready)
    if row.delays:
        return Queue("rabbitmq", row.label, ready=0, scheduled=ready)
    slots = _slots(row)
    return Queue(
        system="rabbitmq",
        name=row.label,
        ready=ready,
        # With messages handed out the head is one of those.
        oldest=row.head if ready and not row.unacked else None,
        in_flight=None if slots is None or row.unacked is None else min(row.unacked, slots),
        slots=slots,
        consumers=row.consumers,
        arrived=row.published if counted else None,
        done=total(row.acked, row.auto_acked) if counted else None,
        reserved=None if slots is None or row.unacked is None else max(0, row.unacked - slots),
    )


def _slots(row: RabbitQueue) -> int | None:
    """Consumers that acknowledge, one message each: RabbitMQ does not know how many they do.

    What they hold beyond that was handed out ahead of time.
    """
    if not row.consumers or row.auto_acked:
        return None
    return 1 if row.rules.one_at_a_time else row.consumers
