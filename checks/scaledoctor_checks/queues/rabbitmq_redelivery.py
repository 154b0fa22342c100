"""Messages that come back again and again."""

from collections.abc import Iterator
from dataclasses import replace

from scaledoctor.sdk import Evidence, Finding, Fix, Severity, Step, Window, check
from scaledoctor.sources.rabbitmq import RabbitPolicies, RabbitQueue, RabbitQueues
from scaledoctor_checks.queues._rabbitmq import SOURCE, Grown, dead_letter_policy, grown

LIMIT = 5
"""Deliveries of one message; three to five are usual, RabbitMQ 4 sets 20 for quorum queues."""


@check("rabbitmq.requeue-loop", step=Step.TIGHTEN)
def requeue_loop(
    window: Window[RabbitQueues],
    policies: RabbitPolicies | None,
    /,
    *,
    rate: float = 1.0,
    share: float = 0.1,
    most: float = 0.5,
) -> Iterator[Finding]:
    """Messages are put back and handed out again, over and over.

    Why: a message that nobody can process goes round for ever, and workers do nothing else; the
    queue looks short and its consumers look busy.
    How measured: redeliveries of a window of 10 s, at least ``rate`` per second and ``share`` of
    all deliveries; high from ``most`` of them. A consumer that ends causes a few, once.
    Thresholds: a tenth is what peers alert on; half means that the work is mostly lost.
    Fix: reject for good instead of requeueing, and keep what is rejected in a queue of its own.
    When to ignore: a lock that several workers try for with the queue as their waiting room.
    References: RabbitMQ, Poison Message Handling; Negative Acknowledgements. Seen with 3.10: 210
    redeliveries per second and no acknowledgement, ready 2.
    """
    found = [(g, part) for g in grown(window) if (part := _part(g, rate)) >= share]
    every = sum(g.delivered or 0.0 for g in grown(window))
    for queue, part in found:
        again = queue.redelivered or 0.0
        yield Finding(
            subject=f"rabbitmq {queue.queue.label}",
            summary=f"{part:.0%} of what {queue.queue.label} hands out was handed out before: "
            f"{again / queue.seconds:.0f}/s come back, {(queue.acked or 0) / queue.seconds:.1f}/s "
            "are done",
            severity=Severity.HIGH if part >= most else Severity.MEDIUM,
            evidence=(
                Evidence("redelivered of all delivered", part, "share", share, SOURCE),
                Evidence("redelivered", again / queue.seconds, "messages/s", rate, SOURCE),
                Evidence("acknowledged", (queue.acked or 0.0) / queue.seconds, "messages/s",
                         source=SOURCE),
                Evidence("ready now", float(queue.queue.ready or 0), "messages", source=SOURCE),
            ),
            fixes=tuple(_fixes(queue.queue, policies)),
            explains={queue.key: part},
            # The consumers' deliveries that are done in vain, of those of all queues.
            impact=again / max(every, again),
        )  # fmt: skip


def _part(queue: Grown, rate: float) -> float:
    """The share of the deliveries that are repeated; 0 where it is too few to be a loop."""
    if not queue.delivered or not queue.redelivered:
        return 0.0
    return queue.redelivered / queue.delivered if queue.redelivered >= rate * queue.seconds else 0.0


def _fixes(queue: RabbitQueue, policies: RabbitPolicies | None) -> Iterator[Fix]:
    if queue.kind == "quorum":
        if queue.rules.delivery_limit is None:
            yield dead_letter_policy([queue], policies, **{"delivery-limit": LIMIT})
        elif queue.rules.dead_letters is None:
            yield dead_letter_policy([queue], policies)
        return
    reject = Fix(
        f"Reject what {queue.label}'s consumers cannot process, instead of requeueing it",
        (
            "channel.basic_nack(tag, requeue=False)   # Python, pika",
            "channel.nack(message, false, false)      // Node.js, amqplib",
            "channel.basicNack(tag, false, false);    // Java",
            "spring.rabbitmq.listener.simple.default-requeue-rejected=false",
            f"# a quorum queue counts by itself: x-queue-type quorum, delivery-limit {LIMIT}",
        ),
        "text",
        risk="what is rejected is worked on no more until somebody reads it there",
        verify="scaledoctor scan again: no redeliveries",
        undo="requeue=True",
    )
    if queue.rules.dead_letters is not None:
        yield reject
        return
    # Without a place for it a rejected message is gone; the place alone ends no loop.
    place = dead_letter_policy([queue], policies)
    yield replace(
        reject,
        title=f"{reject.title}: first a place for it",
        commands=(
            *place.commands,
            "# and then in the consumer:",
            *(f"# {line.removeprefix('# ')}" for line in reject.commands),
        ),
        language="shell",
        risk=place.risk,
        verify=place.verify,
        undo=f"{place.undo}  # and requeue=True",
    )
