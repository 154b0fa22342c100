"""RabbitMQ's queues as it tells them: contents, counters, and the rules that hold for each."""

from dataclasses import dataclass

from scaledoctor.sdk import Cadence, Unavailable, fact, probe
from scaledoctor.sources.proxies import as_expected
from scaledoctor.sources.rabbitmq._dead_letters import buried
from scaledoctor.sources.rabbitmq._pages import found_queues
from scaledoctor.sources.rabbitmq._refusal import permit
from scaledoctor.sources.rabbitmq._rules import RabbitRules, rules_of
from scaledoctor.sources.rabbitmq._values import Json, part, total, whole, word
from scaledoctor.sources.rabbitmq.overview import RabbitHidden
from scaledoctor.sources.rabbitmq.session import RabbitSession

REFRESH = 5.0
"""Seconds between two refreshes of the management API's figures."""

MILLISECONDS = 10**11
"""A timestamp above it is not in seconds, though AMQP says so."""


@dataclass(frozen=True, slots=True)
class RabbitQueue:
    """One queue; figures are up to ten seconds old and None where RabbitMQ does not tell.

    ``kind`` is "classic", "quorum" or "stream". ``ready`` and ``unacked`` are absent in the first
    seconds of a queue. ``bytes`` are its messages' bodies, ``ram`` those of them in memory, and
    ``memory`` what its process takes besides. ``head`` is the age in seconds of its first
    message, handed out or not; only classic queues tell it, and only where publishers set a
    timestamp. The counters begin
    with the node: ``delivered`` messages want an acknowledgement, ``auto_acked`` do not,
    ``redelivered`` are those of ``delivered`` that came back. ``buries`` are queues whose dead
    letters come here. ``online`` of ``members`` have a copy and are up.
    """

    vhost: str
    name: str
    kind: str
    state: str
    ready: int | None
    unacked: int | None
    consumers: int | None
    rules: RabbitRules
    bytes: int | None = None
    memory: int | None = None
    ram: int | None = None
    head: float | None = None
    published: int | None = None
    delivered: int | None = None
    auto_acked: int | None = None
    redelivered: int | None = None
    acked: int | None = None
    policy: str = ""
    buries: tuple[str, ...] = ()
    members: int | None = None
    online: int | None = None
    temporary: bool = False

    @property
    def label(self) -> str:
        """How people know it: "mail", or "mail@shop" in another virtual host than "/"."""
        return self.name if self.vhost == "/" else f"{self.name}@{self.vhost}"


@fact
@dataclass(frozen=True, slots=True)
class RabbitQueues:
    """The queues that were looked at, of ``total`` that this user may see.

    Beyond 2,000 only the 100 with the most messages are looked at.
    """

    queues: tuple[RabbitQueue, ...]
    total: int


@probe(
    cost="1 request per 500 queues, 3 beyond 2,000 queues; each 5 s, as the figures change",
    cadence=Cadence.SAMPLED,
    every=REFRESH,
)
async def rabbit_queues(rabbit: RabbitSession, hidden: RabbitHidden | None) -> RabbitQueues:
    """List the queues, and follow their dead letters once."""
    found = await found_queues(rabbit)
    if not found.total and hidden and hidden.queues:
        raise Unavailable(
            f"{hidden.queues} queues exist and user {hidden.user} may see none of them",
            permit(hidden.user, hidden.vhosts[0] if hidden.vhosts else "VHOST"),
        )
    with as_expected("RabbitMQ's /api/queues"):
        rows = [(word(row, "vhost"), word(row, "name"), rules_of(row)) for row in found.rows]
        if "buried" not in rabbit.memory:
            rabbit.memory["buried"] = await buried(rabbit, rows)
        queues = (
            _queue(rabbit, row, rules) for row, (_, _, rules) in zip(found.rows, rows, strict=True)
        )
        return RabbitQueues(tuple(queues), found.total)


def _queue(rabbit: RabbitSession, row: Json, rules: RabbitRules) -> RabbitQueue:
    clean, stats = rabbit.redactor.text, part(row, "message_stats")
    vhost, name = word(row, "vhost"), word(row, "name")
    rabbit.memory.setdefault("names", {})[(clean(vhost), clean(name))] = (vhost, name)
    members, online = row.get("members"), row.get("online")
    return RabbitQueue(
        vhost=clean(vhost),
        name=clean(name),
        kind=word(row, "type").removeprefix("rabbit_").removesuffix("_queue") or "classic",
        state=word(row, "state"),
        ready=whole(row, "messages_ready"),
        unacked=whole(row, "messages_unacknowledged"),
        consumers=whole(row, "consumers"),
        rules=rules,
        bytes=whole(row, "message_bytes"),
        memory=whole(row, "memory"),
        ram=whole(row, "message_bytes_ram"),
        head=_age(rabbit.now(), whole(row, "head_message_timestamp")),
        published=whole(stats, "publish"),
        delivered=total(whole(stats, "deliver"), whole(stats, "get")),
        auto_acked=total(whole(stats, "deliver_no_ack"), whole(stats, "get_no_ack")),
        redelivered=whole(stats, "redeliver"),
        acked=whole(stats, "ack"),
        policy=clean(word(row, "policy")),
        buries=tuple(map(clean, rabbit.memory["buried"].get((vhost, name), ()))),
        members=len(members) if isinstance(members, list) else None,
        online=len(online) if isinstance(online, list) else None,
        temporary=rules.expires or any(row.get(w) is True for w in ("exclusive", "auto_delete")),
    )


def _age(now: float, stamp: int | None) -> float | None:
    """Seconds since a publisher's timestamp; clocks differ, so never negative."""
    if stamp is None or stamp <= 0:
        return None
    seconds = stamp / 1000 if stamp > MILLISECONDS else stamp
    return round(max(0.0, now - seconds), 1)
