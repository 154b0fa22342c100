"""What the broker tells of itself: totals, churn, alarms, and what this user may not see."""

from dataclasses import dataclass

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.proxies import as_expected
from scaledoctor.sources.rabbitmq._values import Json, part, whole, word
from scaledoctor.sources.rabbitmq.session import Query, RabbitSession

ONE: Query = {"page": 1, "page_size": 1, "columns": "name"}

MOST_VHOSTS = 20
"""Virtual hosts that are asked one by one whether this user may see their queues."""


@fact
@dataclass(frozen=True, slots=True)
class RabbitOverview:
    """One broker or cluster; None where it does not tell.

    The first four are how many there are now, in the virtual hosts that this user may see or,
    with the tag monitoring, in all. ``connections_opened``, ``channels_opened`` and ``published``
    messages are counters since the start of the nodes. ``statistics`` is False when the broker
    was told to keep none.
    """

    version: str
    queues: int | None
    connections: int | None
    channels: int | None
    consumers: int | None
    connections_opened: int | None
    channels_opened: int | None
    published: int | None = None
    statistics: bool = True


@probe(cost="1 request", cadence=Cadence.EDGES)
async def rabbit_overview(rabbit: RabbitSession) -> RabbitOverview:
    """Read /api/overview."""
    with as_expected("RabbitMQ's /api/overview"):
        return _overview(await rabbit.json("overview"))


def _overview(found: Json) -> RabbitOverview:
    totals, churn = part(found, "object_totals"), part(found, "churn_rates")
    return RabbitOverview(
        version=word(found, "rabbitmq_version"),
        queues=whole(totals, "queues"),
        connections=whole(totals, "connections"),
        channels=whole(totals, "channels"),
        consumers=whole(totals, "consumers"),
        connections_opened=whole(churn, "connection_created"),
        channels_opened=whole(churn, "channel_created"),
        published=whole(part(found, "message_stats"), "publish"),
        statistics=found.get("disable_stats") is not True,
    )


@fact
@dataclass(frozen=True, slots=True)
class RabbitAlarms:
    """The alarms in effect: (node, "memory" or "disk"); while there is one, publishers block."""

    alarms: tuple[tuple[str, str], ...]


@probe(cost="1 request each second", cadence=Cadence.SAMPLED, every=1.0)
async def rabbit_alarms(rabbit: RabbitSession) -> RabbitAlarms:
    """Read the health check: it is up to date, while /api/nodes is up to ten seconds old."""
    answer = await rabbit.ask("health", "checks", "alarms", also=503)
    with as_expected("RabbitMQ's health check of alarms"):
        found = answer.json("the health check").get("alarms", ())
        rows = {
            (rabbit.redactor.text(word(a, "node")), word(a, "resource").partition(" ")[0])
            for a in found
        }  # the resource is "memory" or "disk space"
        return RabbitAlarms(tuple(sorted(rows)))


@fact
@dataclass(frozen=True, slots=True)
class RabbitHidden:
    """Queues that exist and that this user may not see, and the virtual hosts that hold them."""

    user: str
    queues: int
    vhosts: tuple[str, ...] = ()


@probe(cost="2 requests; one for each of at most 20 virtual hosts when some are hidden")
async def rabbit_hidden(rabbit: RabbitSession) -> RabbitHidden:
    """Compare the queues that there are with those that are listed for us.

    A user without a permission gets an empty list with HTTP 200, not a refusal.
    """
    page = await rabbit.json("queues", query=ONE)
    with as_expected("RabbitMQ's /api/queues"):
        seen, there = whole(page, "total_count"), whole(_totals(rabbit), "queues")
        if seen is None or there is None or there <= seen:
            return RabbitHidden(rabbit.user, 0)
        names = [word(v, "name") for v in await rabbit.json("vhosts", query={"columns": "name"})]
    closed: list[str] = []
    for name in names[:MOST_VHOSTS]:
        answer = await rabbit.ask("queues", name, query=ONE, also=401)
        if answer.status == 401:
            closed.append(rabbit.redactor.text(name))
    return RabbitHidden(rabbit.user, there - seen, tuple(closed))


def _totals(rabbit: RabbitSession) -> Json:
    return part(rabbit.overview, "object_totals")
