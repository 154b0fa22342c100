"""RabbitMQ over a window for the tests of checks, with the values that do not matter filled in."""

from dataclasses import replace
from typing import Any

from scaledoctor.sdk import Window
from scaledoctor.sources.rabbitmq import (
    RabbitAlarms,
    RabbitClient,
    RabbitClients,
    RabbitConsumer,
    RabbitConsumers,
    RabbitNode,
    RabbitNodes,
    RabbitOverview,
    RabbitQueue,
    RabbitQueues,
    RabbitRules,
)

_QUEUE = RabbitQueue(
    vhost="/", name="mail", kind="classic", state="running", ready=0, unacked=0, consumers=1,
    rules=RabbitRules(), bytes=0, memory=20_000, ram=0, published=0, delivered=0, auto_acked=0,
    redelivered=0, acked=0,
)  # fmt: skip

NODE = RabbitNode(
    name="rabbit@a", running=True, memory=200_000_000, memory_limit=1_000_000_000,
    disk_free=80_000_000_000, disk_limit=50_000_000, files=50, files_limit=20_000, sockets=5,
    sockets_limit=17_000, processes=400, processes_limit=1_000_000,
)  # fmt: skip

NODES = RabbitNodes((NODE,))


def queue(**changes: Any) -> RabbitQueue:
    """A classic queue with one consumer and nothing in it."""
    return replace(_QUEUE, **changes)


def rules(**changes: Any) -> RabbitRules:
    """No rules but these."""
    return replace(RabbitRules(), **changes)


def queues(*found: RabbitQueue, total: int = 0) -> RabbitQueues:
    """One reading."""
    return RabbitQueues(found, total or len(found))


def over(
    grown: dict[str, int], *others: RabbitQueue, seconds: float = 10.0, **same: Any
) -> Window[RabbitQueues]:
    """Three readings of a queue whose counters grow evenly by so much, beside others."""
    first = queue(**same)
    rows = [
        replace(first, **{n: getattr(first, n) + by * i // 2 for n, by in grown.items()})
        for i in range(3)
    ]
    return Window.of(*(queues(row, *others) for row in rows), every=seconds / 2)


def nodes(**changes: Any) -> RabbitNodes:
    """One node, rabbit@a, with room everywhere."""
    return RabbitNodes((replace(NODE, **changes),))


def alarms(*pairs: tuple[str, str]) -> RabbitAlarms:
    """One reading of the health check."""
    return RabbitAlarms(pairs)


def consumer(**changes: Any) -> RabbitConsumer:
    """A consumer of mail that acknowledges and has no prefetch."""
    usual = RabbitConsumer("/", "mail", "worker", "shop", prefetch=0, acks=True, count=1)
    return replace(usual, **changes)


def consumers(*found: RabbitConsumer) -> RabbitConsumers:
    """One reading."""
    return RabbitConsumers(found)


def client(**changes: Any) -> RabbitClient:
    """A connection of the application web with one channel."""
    return replace(RabbitClient("web", "shop", "/", connections=1, channels=1), **changes)


def clients(*found: RabbitClient) -> Window[RabbitClients]:
    """Three readings of the same."""
    return Window.of(*[RabbitClients(found, len(found))] * 3, every=5.0)


def opened(
    connections: int, channels: int = 0, published: int = 0, seconds: float = 10.0
) -> Window[RabbitOverview]:
    """So many opened and published within the window."""
    usual = RabbitOverview("3.10.8", 1, 1, 1, 1, 100, 100, 0)
    last = replace(
        usual,
        connections_opened=100 + connections,
        channels_opened=100 + channels,
        published=published,
    )
    return Window.of(usual, last, every=seconds)
