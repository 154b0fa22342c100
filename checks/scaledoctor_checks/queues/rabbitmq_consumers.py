"""Messages that consumers hold and do not acknowledge."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from shlex import quote

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
from scaledoctor.sources.rabbitmq import (
    RabbitConsumer,
    RabbitConsumers,
    RabbitQueue,
    RabbitQueues,
)
from scaledoctor_checks.postgres._words import duration
from scaledoctor_checks.queues._rabbitmq import (
    OVER,
    SOURCE,
    Grown,
    grown,
    messages,
    require_statistics,
)

CONSUMERS = "/api/queues/VHOST/NAME, consumer_details"

LEAST, EACH, YOUNG = 100, 10, 30.0
"""Messages held in all, and by each consumer, and their age in seconds, that make a hoard."""

PREFETCH = 20
"""RabbitMQ's guide: 100 to 300 keeps a consumer fast; 20 is enough for work of a millisecond."""


@check("rabbitmq.unacked-hoard", step=Step.OFFLOAD)
def unacked_hoard(
    window: Window[RabbitQueues],
    consumers: RabbitConsumers | None,
    /,
    *,
    least: int = LEAST,
    each: int = EACH,
    young: float = YOUNG,
) -> Iterator[Finding]:
    """Consumers hold messages and acknowledge none of them.

    Why: no queue length shows them, nobody else gets them, and they all come back when the
    consumer ends; to every usual figure the queue looks healthy.
    How measured: at least ``least`` messages unacknowledged at every reading of a window of 10 s,
    at least ``each`` for every consumer, and not one acknowledgement in it. Where publishers set
    a timestamp, messages younger than ``young`` seconds are let pass: a batch that is being
    filled. Sure when the consumer has no limit; else it may be one long job. Thresholds: no
    acknowledgement in 10 s from that many messages is no chance.
    Fix: acknowledge each message when it is done; limit how many a consumer is handed.
    When to ignore: jobs that take longer than the window, with a prefetch that is meant.
    References: RabbitMQ, Consumer Acknowledgements; Consumer Prefetch. Seen with 3.10: 300
    unacknowledged, consumer utilisation 0.98.
    """
    found = [g for g in grown(window) if _hoards(g, least, each, young)]
    every = sum((q.ready or 0) + (q.unacked or 0) for q in window.last.queues)
    for queue in found:
        mine = consumers.of(queue.queue) if consumers else ()
        hands = holder(queue.queue.unacked or 0, mine)
        free = any(c.prefetch == 0 for c in hands.consumers)
        yield Finding(
            subject=f"rabbitmq {queue.queue.label}",
            summary=_summary(queue, hands, free=free),
            severity=Severity.HIGH if free else Severity.MEDIUM,
            confidence=Confidence.HIGH if free else Confidence.MEDIUM,
            evidence=(
                Evidence("unacknowledged at every reading", float(queue.least_unacked),
                         "messages", float(least), SOURCE),
                Evidence("acknowledged in the window", queue.acked or 0.0, "messages",
                         0.0, SOURCE),
                Evidence("consumers", float(queue.queue.consumers or 0), "consumers",
                         source=SOURCE),
                *prefetches(hands.consumers),
                *((Evidence("age of the first message", queue.queue.head, "s", young, SOURCE),)
                  if queue.queue.head is not None else ()),
            ),
            fixes=(acknowledge(queue.queue, hands), limit(queue.queue, hands)),
            explains={queue.key: 1.0},
            impact=(queue.queue.unacked or 0) / max(1, every),
        )  # fmt: skip


def _hoards(queue: Grown, least: int = LEAST, each: int = EACH, young: float = YOUNG) -> bool:
    last = queue.queue
    consumers = min(q.consumers or 0 for q in queue.readings)
    if queue.acked is None or queue.acked > 0 or not consumers or last.kind == "stream":
        return False
    fresh = last.head is not None and last.head < young
    return queue.least_unacked >= max(least, each * consumers) and not fresh


@dataclass(frozen=True, slots=True)
class Hands:
    """Who can hold what a queue handed out; at least ``least`` messages of it are theirs."""

    consumers: Sequence[RabbitConsumer]
    least: int

    @property
    def who(self) -> str:
        """One name, or that they are several."""
        names = sorted({c.who for c in self.consumers})
        return names[0] if len(names) == 1 else "its consumers"

    @property
    def holds(self) -> str:
        """With its verb."""
        count = sum(c.count for c in self.consumers)
        many = f"the {count} consumers of " if len(self.consumers) == 1 and count > 1 else ""
        return f"{many}{self.who} {'holds' if count == 1 else 'hold'}"


def holder(unacked: int, mine: Sequence[RabbitConsumer]) -> Hands:
    """The consumer that must hold half of the messages or more, else all that acknowledge.

    The broker does not tell who holds how many; nobody holds more than its prefetch.
    """
    acking = [c for c in mine if c.acks]
    room = {c: c.count * c.prefetch if c.prefetch else inf for c in acking}
    most = max(acking, key=lambda c: room[c], default=None)
    others = sum(room[c] for c in acking if c is not most)
    least = int(unacked - min(unacked, others))
    if most is not None and 2 * least >= unacked:
        return Hands((most,), least)
    return Hands(acking, unacked)


def _summary(queue: Grown, hands: Hands, *, free: bool) -> str:
    head = f"{hands.holds} {messages(hands.least)} of {queue.queue.label}"
    tail = f"and acknowledged none in {duration(queue.seconds)}"
    return f"{head} {tail}" + ("; it has no prefetch limit" if free else "")


def prefetches(consumers: Sequence[RabbitConsumer]) -> Iterator[Evidence]:
    """How many messages each may hold, of the first three."""
    for consumer in consumers[:3]:
        limit_ = float(consumer.prefetch) if consumer.prefetch else "no limit"
        yield Evidence(f"prefetch of {consumer.who}", limit_, "messages", source=CONSUMERS)


def acknowledge(queue: RabbitQueue, hands: Hands) -> Fix:
    """Acknowledge, and get back what is held."""
    who = hands.who
    return Fix(
        f"Let {who} acknowledge each message of {queue.label} once it is done",
        (
            "channel.basic_ack(method.delivery_tag)            # Python, pika",
            "channel.ack(message)                              // Node.js, amqplib",
            "channel.basicAck(envelope.getDeliveryTag(), false); // Java",
            "# then restart it: what it holds goes back to the queue and is handed out once more",
        ),
        "text",
        risk="messages that were done and not acknowledged are done once more",
        verify=f"rabbitmqctl list_queues -p {quote(queue.vhost)} name messages_unacknowledged",
        undo="the old code",
    )


def limit(queue: RabbitQueue, hands: Hands) -> Fix:
    """A prefetch, in code; for all new channels of the broker where the code cannot be changed."""
    return Fix(
        f"Hand {hands.who} at most {PREFETCH} messages of {queue.label} at once",
        (
            f"channel.basic_qos(prefetch_count={PREFETCH})   # Python, pika: before basic_consume",
            f"channel.prefetch({PREFETCH})                   // Node.js, amqplib",
            f"channel.basicQos({PREFETCH});                  // Java",
            f"spring.rabbitmq.listener.simple.prefetch={PREFETCH}",
            "# or for every new channel on the broker, until it restarts:",
            "rabbitmqctl eval 'application:set_env(rabbit, default_consumer_prefetch, "
            f"{{false, {PREFETCH}}}).'",
        ),
        "text",
        risk="below about 20 a consumer of very short jobs waits for the network between two",
        verify="rabbitmqctl list_consumers queue_name channel_pid prefetch_count",
        undo="rabbitmqctl eval 'application:set_env(rabbit, default_consumer_prefetch, "
        "{false, 0}).'",
    )


@check("rabbitmq.unlimited-prefetch", step=Step.OFFLOAD)
def unlimited_prefetch(
    consumers: RabbitConsumers,
    window: Window[RabbitQueues],
    /,
    *,
    several: int = 2,
    held: int = 1000,
) -> Iterator[Finding]:
    """A consumer may be handed a whole queue at once.

    Why: the first one to connect gets everything, the others nothing; its memory grows with the
    queue, and when it ends all of it comes back.
    How measured: consumers that acknowledge and have a prefetch of 0, of the 20 queues with the
    most messages handed out. Medium where ``several`` share a queue, or ``held`` messages are
    out already. Not told again where rabbitmq.unacked-hoard says that nothing is acknowledged.
    Thresholds: with two a share can be unfair; RabbitMQ's guide calls more than a few hundred a
    waste.
    Fix: a prefetch.
    When to ignore: one consumer that is always faster than its queue.
    References: RabbitMQ, Consumer Prefetch: 0 is no limit.
    """
    require_statistics(window.last)
    hoards = {g.queue for g in grown(window) if _hoards(g)} if window.seconds >= OVER else set()
    rows = {(q.vhost, q.name): q for q in window.last.queues if q not in hoards}
    for key in sorted({(c.vhost, c.queue) for c in consumers.consumers}):
        queue = rows.get(key)
        mine = [c for c in (consumers.of(queue) if queue else ()) if c.acks and not c.prefetch]
        if queue is None or not mine or queue.rules.one_at_a_time:
            continue
        unfair = (queue.consumers or 0) >= several or (queue.unacked or 0) >= held
        yield Finding(
            subject=f"rabbitmq {queue.label}",
            summary=f"{mine[0].who} takes from {queue.label} without a prefetch limit; "
            f"{messages(queue.unacked or 0)} are in its consumers' hands",
            severity=Severity.MEDIUM if unfair else Severity.LOW,
            evidence=(
                Evidence("consumers without a limit", float(sum(c.count for c in mine)),
                         f"of {queue.consumers}", 0.0, CONSUMERS),
                Evidence("unacknowledged", float(queue.unacked or 0), "messages", float(held),
                         SOURCE),
            ),
            fixes=(limit(queue, Hands(mine, queue.unacked or 0)),),
            kind=Kind.RISK,
        )  # fmt: skip
