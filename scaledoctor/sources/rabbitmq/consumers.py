"""Who holds messages that are not acknowledged, and how many each may be handed."""

from dataclasses import dataclass

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.proxies import as_expected
from scaledoctor.sources.rabbitmq._values import Json, part, whole, word
from scaledoctor.sources.rabbitmq.rows import RabbitQueue, RabbitQueues
from scaledoctor.sources.rabbitmq.session import RabbitSession

MOST_QUEUES = 20
"""Queues whose consumers are read, one request each: those with the most messages handed out."""

MOST_CONSUMERS = 100
"""Of one queue."""


@dataclass(frozen=True, slots=True)
class RabbitConsumer:
    """Consumers of one queue that are alike.

    ``who`` is the connection's own name where it has one, else its address. ``prefetch`` is how
    many messages it may hold, 0 without a limit; ``acks`` False when messages count as done
    once they are sent.
    """

    vhost: str
    queue: str
    who: str
    user: str
    prefetch: int
    acks: bool
    count: int


@fact
@dataclass(frozen=True, slots=True)
class RabbitConsumers:
    """The consumers of at most 20 queues, those with the most unacknowledged messages."""

    consumers: tuple[RabbitConsumer, ...]

    def of(self, queue: RabbitQueue) -> tuple[RabbitConsumer, ...]:
        """Those of one queue."""
        key = (queue.vhost, queue.name)
        return tuple(c for c in self.consumers if (c.vhost, c.queue) == key)


@probe(cost="1 request for each of at most 20 queues with consumers", cadence=Cadence.LAST)
async def rabbit_consumers(rabbit: RabbitSession, rows: RabbitQueues) -> RabbitConsumers:
    """Read the details of the queues that hand out most."""
    busy = [q for q in rows.queues if q.consumers and q.kind != "stream"]
    busy.sort(key=lambda q: (-(q.unacked or 0), -(q.ready or 0), q.vhost, q.name))
    found: list[RabbitConsumer] = []
    for queue in busy[:MOST_QUEUES]:
        place = rabbit.memory["names"][(queue.vhost, queue.name)]
        answer = await rabbit.ask("queues", *place, query={"columns": "consumer_details"}, also=404)
        if answer.status == 404:
            continue  # it is gone
        with as_expected("RabbitMQ's consumers"):
            details = answer.json("the queue").get("consumer_details", ())
            found += _alike(rabbit, queue, details[:MOST_CONSUMERS])
    return RabbitConsumers(tuple(found))


def _alike(rabbit: RabbitSession, queue: RabbitQueue, details: list[Json]) -> list[RabbitConsumer]:
    groups: dict[tuple[str, str, int, bool], int] = {}
    names = rabbit.memory.get("clients", {})
    for consumer in details:
        channel = part(consumer, "channel_details")
        known = names.get(word(channel, "connection_name"))
        key = (
            rabbit.redactor.text(known or word(channel, "peer_host")),
            rabbit.redactor.text(word(channel, "user")),
            whole(consumer, "prefetch_count") or 0,
            consumer.get("ack_required") is not False,
        )
        groups[key] = groups.get(key, 0) + 1
    return [
        RabbitConsumer(queue.vhost, queue.name, *key, count=count)
        for key, count in sorted(groups.items(), key=lambda item: (-item[1], item[0]))
    ]
