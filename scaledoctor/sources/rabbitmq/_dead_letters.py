"""Where the dead letters of each queue end: through its exchange's bindings, asked once."""

from collections.abc import Iterator, Mapping, Sequence

from scaledoctor.sdk import Unavailable
from scaledoctor.sources.proxies import as_expected
from scaledoctor.sources.rabbitmq._rules import RabbitRules
from scaledoctor.sources.rabbitmq._values import Json, word
from scaledoctor.sources.rabbitmq.session import RabbitSession

MOST_EXCHANGES = 20
"""Dead-letter exchanges whose bindings are read; one is usual."""

Row = tuple[str, str, RabbitRules]
"""Virtual host, name and rules of a queue."""

Key = tuple[str, str]
"""Virtual host and name of a queue or an exchange."""


async def followed(rabbit: RabbitSession, rows: Sequence[Row]) -> Mapping[Key, tuple[str, ...]]:
    """For each queue with a dead-letter exchange: the queues that its dead letters can reach."""
    sources = [row for row in rows if row[2].dead_letters is not None]
    exchanges = sorted({(v, r.dead_letters) for v, _, r in sources if r.dead_letters})
    bindings = {e: await _bindings(rabbit, e) for e in exchanges[:MOST_EXCHANGES]}
    return {
        (vhost, name): tuple(sorted(set(_targets(vhost, name, rules, bindings))))
        for vhost, name, rules in sources
    }


def _targets(
    vhost: str, name: str, rules: RabbitRules, bindings: Mapping[Key, Sequence[Json]]
) -> Iterator[str]:
    """The queues that one queue's dead letters can reach; a key that is not told may be any."""
    key = rules.dead_letter_key
    if not rules.dead_letters:
        yield from [key] if key else []  # the default exchange: the key is a queue's name
        return
    for binding in bindings.get((vhost, rules.dead_letters), ()):
        fits = key is None or word(binding, "routing_key") in (key, "", "#")
        if word(binding, "destination_type") == "queue" and fits:
            target = word(binding, "destination")
            if target != name:
                yield target


async def _bindings(rabbit: RabbitSession, exchange: Key) -> Sequence[Json]:
    query = {"columns": "destination,destination_type,routing_key"}
    try:
        found = await rabbit.json("exchanges", *exchange, "bindings", "source", query=query)
    except Unavailable:
        return ()  # the exchange is gone: then its dead letters are dropped
    with as_expected("RabbitMQ's bindings"):
        return [b for b in found if isinstance(b, dict)]
