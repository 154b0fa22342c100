"""The policies: only one holds for a queue, so that a new one must say what the old one said."""

import json
from dataclasses import dataclass

from scaledoctor.sdk import fact, probe
from scaledoctor.sources.proxies import as_expected
from scaledoctor.sources.rabbitmq._values import Json, whole, word
from scaledoctor.sources.rabbitmq.session import RabbitSession

MOST = 500
"""Policies that are kept."""


@dataclass(frozen=True, slots=True)
class RabbitPolicy:
    """One policy; ``definition`` is JSON, as rabbitmqctl set_policy takes it."""

    vhost: str
    name: str
    pattern: str
    applies_to: str
    priority: int
    definition: str


@fact
@dataclass(frozen=True, slots=True)
class RabbitPolicies:
    """The policies of the virtual hosts that this user may see."""

    policies: tuple[RabbitPolicy, ...]

    def find(self, vhost: str, name: str) -> RabbitPolicy | None:
        """The policy of that name."""
        return next((p for p in self.policies if (p.vhost, p.name) == (vhost, name)), None)


@probe(cost="1 request")
async def rabbit_policies(rabbit: RabbitSession) -> RabbitPolicies:
    """Read /api/policies."""
    found = await rabbit.json("policies")
    with as_expected("RabbitMQ's /api/policies"):
        return RabbitPolicies(tuple(_policy(rabbit, row) for row in found[:MOST]))


def _policy(rabbit: RabbitSession, row: Json) -> RabbitPolicy:
    clean = rabbit.redactor.text
    return RabbitPolicy(
        vhost=clean(word(row, "vhost")),
        name=clean(word(row, "name")),
        pattern=clean(word(row, "pattern")),
        applies_to=word(row, "apply-to"),
        priority=whole(row, "priority") or 0,
        definition=clean(json.dumps(row.get("definition", {}), sort_keys=True)),
    )
