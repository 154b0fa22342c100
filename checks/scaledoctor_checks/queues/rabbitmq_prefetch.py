"""Messages that wait in one consumer's hands, while the others would do them."""

from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Severity, Step, Window, check
from scaledoctor.sources.rabbitmq import RabbitConsumers, RabbitQueues
from scaledoctor_checks.postgres._words import duration
from scaledoctor_checks.queues._flow import LATE
from scaledoctor_checks.queues._rabbitmq import SOURCE, Grown, grown, messages
from scaledoctor_checks.queues.rabbitmq_consumers import (
    LEAST,
    PREFETCH,
    Hands,
    holder,
    limit,
    prefetches,
)


@check("rabbitmq.prefetch-hoard", step=Step.OFFLOAD)
def prefetch_hoard(
    window: Window[RabbitQueues],
    consumers: RabbitConsumers,
    /,
    *,
    least: int = LEAST,
    late: float = LATE,
) -> Iterator[Finding]:
    """One consumer was handed more than it can do, and the others have nothing.

    Why: what it holds waits behind its own work; the queue looks empty, and the others idle.
    How measured: in a window of 10 s fewer messages were ready than handed out, something was
    acknowledged, and one of unlike consumers must hold ``least`` messages and half of them: the
    others' prefetch leaves no room for more. They wait ``late`` seconds: by the age of the first
    message, or by what all of the consumers acknowledge. Thresholds: five times a sound prefetch;
    nobody notices a queue below half a minute.
    Fix: a small prefetch for that consumer.
    When to ignore: a consumer that is meant to take batches, and is alone to do it.
    References: RabbitMQ, Consumer Prefetch; Consumer Acknowledgements and Publisher Confirms.
    """
    every = sum((q.ready or 0) + (q.unacked or 0) for q in window.last.queues)
    for queue in grown(window):
        mine = consumers.of(queue.queue)
        hands = holder(queue.least_unacked, mine)
        wait = _wait(queue, hands)
        visible = any((q.ready or 0) >= (q.unacked or 0) for q in queue.readings)
        alone = len(hands.consumers) != 1 or not any(
            c.acks for c in mine if c not in hands.consumers
        )
        if not queue.acked or visible or alone or hands.least < least or wait < late:
            continue
        yield Finding(
            subject=f"rabbitmq {queue.queue.label}",
            summary=f"{hands.holds} at least {messages(hands.least)} of {queue.queue.label}, which "
            f"wait {duration(wait)} and more in its hands; the queue itself looks "
            f"{'short' if queue.queue.ready else 'empty'}",
            severity=Severity.MEDIUM,
            confidence=Confidence.HIGH if queue.queue.head is not None else Confidence.MEDIUM,
            evidence=(
                Evidence("unacknowledged at every reading", float(queue.least_unacked),
                         "messages", float(least), SOURCE),
                Evidence("ready", float(queue.queue.ready or 0), "messages", source=SOURCE),
                Evidence("acknowledged", queue.acked / queue.seconds, "messages/s", source=SOURCE),
                Evidence("wait, at least", wait, "s", late, SOURCE),
                *prefetches(sorted(mine, key=lambda c: c not in hands.consumers)),
            ),
            fixes=(limit(queue.queue, hands),),
            explains={queue.key: hands.least / queue.least_unacked},
            impact=hands.least / max(1, every),
        )  # fmt: skip


def _wait(queue: Grown, hands: Hands) -> float:
    """Seconds that the last one of what is held will wait, at least; 0 within a sound prefetch."""
    sound = hands.consumers and 0 < max(c.prefetch for c in hands.consumers) <= PREFETCH
    if sound or not queue.acked:
        return 0.0
    by_rate = hands.least * queue.seconds / queue.acked
    return max(by_rate, queue.queue.head or 0.0)
