"""Connections by application: how many, and who is blocked."""

import re
from dataclasses import dataclass

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.proxies import as_expected
from scaledoctor.sources.rabbitmq._values import Json, part, whole, word
from scaledoctor.sources.rabbitmq.rows import REFRESH
from scaledoctor.sources.rabbitmq.session import Query, RabbitSession

PER_PAGE = 500
"""Connections that are looked at; of more, those on the first page."""

COLUMNS = "name,user,vhost,peer_host,state,channels,user_provided_name,client_properties.product"

_NUMBERS = re.compile(r"([-_.:# @/]+|(?<=[a-z]))[0-9a-f]*\d[0-9a-f-]*$", re.I)
"""What tells the instances of one application apart: web-1, worker.4711, shop-7f9c4d8b."""


@dataclass(frozen=True, slots=True)
class RabbitClient:
    """The connections of one application and user.

    ``name`` is what it calls itself, else its library and address. ``blocked`` wait to publish
    while an alarm is in effect, ``throttled`` publish faster than their queues can take.
    """

    name: str
    user: str
    vhost: str
    connections: int
    channels: int
    blocked: int = 0
    throttled: int = 0


@fact
@dataclass(frozen=True, slots=True)
class RabbitClients:
    """The applications that are connected; ``total`` connections, at most 500 looked at.

    A connection that ends within five seconds is never among them.
    """

    clients: tuple[RabbitClient, ...]
    total: int


@probe(cost="1 request, at most 500 connections; each 5 s", cadence=Cadence.SAMPLED, every=REFRESH)
async def rabbit_clients(rabbit: RabbitSession) -> RabbitClients:
    """Read /api/connections and add up by application."""
    rabbit.require_monitoring("the connections")
    query: Query = {"page": 1, "page_size": PER_PAGE, "columns": COLUMNS}
    found = await rabbit.json("connections", query=query)
    with as_expected("RabbitMQ's /api/connections"):
        groups: dict[tuple[str, str, str], list[Json]] = {}
        for row in found.get("items", ()):
            groups.setdefault(_key(rabbit, row), []).append(row)
        clients = (_client(key, rows) for key, rows in sorted(groups.items()))
        return RabbitClients(tuple(clients), whole(found, "total_count") or 0)


def _key(rabbit: RabbitSession, row: Json) -> tuple[str, str, str]:
    given = word(row, "user_provided_name")
    product = word(part(row, "client_properties"), "product")
    who = label_of(given or product, "" if given else word(row, "peer_host"))
    rabbit.memory.setdefault("clients", {})[word(row, "name")] = who
    words = (who, word(row, "user"), word(row, "vhost"))
    name, user, vhost = map(rabbit.redactor.text, words)
    return name, user, vhost


def label_of(name: str, host: str) -> str:
    """An application's name without its instance's number, and its address if that is all."""
    plain = _NUMBERS.sub("", name) or name
    return " at ".join(word for word in (plain, host) if word) or "unnamed"


def _client(key: tuple[str, str, str], rows: list[Json]) -> RabbitClient:
    states = [word(row, "state") for row in rows]
    return RabbitClient(
        *key,
        connections=len(rows),
        channels=sum(whole(row, "channels") or 0 for row in rows),
        blocked=states.count("blocked"),
        throttled=states.count("flow"),
    )
