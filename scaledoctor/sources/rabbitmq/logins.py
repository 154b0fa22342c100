"""Who logs in, and how often: connections that end within seconds are listed nowhere else."""

from dataclasses import dataclass

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.proxies import as_expected
from scaledoctor.sources.rabbitmq._values import Json, whole, word
from scaledoctor.sources.rabbitmq.nodes import MOST_NODES, RabbitNodes
from scaledoctor.sources.rabbitmq.session import RabbitSession

MOST = 1000
"""Addresses and users of one node."""


@dataclass(frozen=True, slots=True)
class RabbitLogin:
    """How often a user has logged in from an address; a counter that is up to date."""

    user: str
    address: str
    count: int

    @property
    def label(self) -> str:
        """How people know it: "shop from 10.0.0.7"."""
        return f"{self.user} from {self.address}"


@fact
@dataclass(frozen=True, slots=True)
class RabbitLogins:
    """Logins by user and address; none unless the broker keeps track of them (3.8 and later)."""

    logins: tuple[RabbitLogin, ...]


@probe(cost="1 request for each of at most 3 nodes", cadence=Cadence.EDGES)
async def rabbit_logins(rabbit: RabbitSession, nodes: RabbitNodes) -> RabbitLogins:
    """Read /api/auth/attempts/NODE/source; people at the management API are left out."""
    counts: dict[tuple[str, str], int] = {}
    for node in nodes.nodes[:MOST_NODES]:
        place = ("auth", "attempts", rabbit.memory["nodes"][node.name], "source")
        found: list[Json] = await rabbit.json(*place)
        with as_expected("RabbitMQ's /api/auth/attempts"):
            for row in found[:MOST]:
                if word(row, "protocol") != "http":
                    key = (word(row, "username"), word(row, "remote_address"))
                    counts[key] = counts.get(key, 0) + (whole(row, "auth_attempts_succeeded") or 0)
    clean = rabbit.redactor.text
    return RabbitLogins(
        tuple(RabbitLogin(clean(u), clean(a), n) for (u, a), n in sorted(counts.items()))
    )
