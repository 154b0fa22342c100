"""Who is connected, by what they do: a worker that waits for a job is no blocked client."""

from collections import Counter
from dataclasses import dataclass

from scaledoctor.sdk import Cadence, Unavailable, fact, probe
from scaledoctor.sources.redis._clients import clients
from scaledoctor.sources.redis.session import RedisSession

NAMES = 5
"""Kinds of clients that are kept, those with most connections."""


@dataclass(frozen=True, slots=True)
class ClientGroup:
    """Connections of one name, or of one address where they have none; ``idle`` for a minute."""

    name: str
    connections: int
    idle: int


@fact
@dataclass(frozen=True, slots=True)
class RedisClients:
    """The largest groups of connections, and blocked ones by the command that they wait in."""

    groups: tuple[ClientGroup, ...]
    blocked: dict[str, int]


@probe(cost="1 CLIENT LIST below 5,000 connections, at both edges", cadence=Cadence.EDGES)
async def redis_clients(redis: RedisSession) -> RedisClients:
    """Count the connections, without keeping one."""
    found = await clients(redis)
    if found is None:
        raise Unavailable("CLIENT LIST is refused, or there are too many clients", redis.grant)
    names = Counter(c.label for c in found)
    idle = Counter(c.label for c in found if c.idle >= 60)
    return RedisClients(
        groups=tuple(
            ClientGroup(redis.redactor.text(name), count, idle[name])
            for name, count in names.most_common(NAMES)
        ),
        blocked=dict(Counter(c.command for c in found if c.blocked)),
    )
