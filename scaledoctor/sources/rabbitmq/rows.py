"""RabbitMQ's queues as it tells them: contents, counters, and the rules that hold for each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scaledoctor.sdk import Cadence, Unavailable, fact, probe
from scaledoctor.sources.proxies import as_expected
from scaledoctor.sources.rabbitmq._dead_letters import followed
from scaledoctor.sources.rabbitmq._pages import found_queues
from scaledoctor.sources.rabbitmq._refusal import permit
from scaledoctor.sources.rabbitmq._rules import RabbitRules, rules_of
from scaledoctor.sources.rabbitmq._values import Json, part, total, whole, word
from scaledoctor.sources.rabbitmq.overview import RabbitHidden
from scaledoctor.sources.rabbitmq.session import RabbitSession

REFRESH = 5.0
"""Seconds between two refreshes of the management API's figures."""

DEAD = re.compile(
    r"(?<![a-z])(dlq|dlx|dead|dead[._-]?letters?|parking([._-]?lot)?|poison|errors?|failed|skipped|"
    r"undeliverable)(?![a-z])",
    re.I,
)
"""Names of queues for people: RabbitMQ's guide, NServiceBus, MassTransit, Spring AMQP."""

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
    ``redelivered`` are those of ``delivered`` that came back. Dead letters go to ``buried_in``;
    ``buries`` are up to five queues whose dead letters come here for good. ``online`` of
    ``members`` have a copy and are up.
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
    buried_in: tuple[str, ...] = ()
    buries: tuple[str, ...] = ()
    members: int | None = None
    online: int | None = None
    temporary: bool = False

    @property
    def label(self) -> str:
        """How people know it: "mail", or "mail@shop" in another virtual host than "/"."""
        return self.name if self.vhost == "/" else f"{self.name}@{self.vhost}"

    @property
    def delays(self) -> bool:
        """Whether messages only wait here for a time and then go on, as before another try.

        A queue of work with a time to live differs: somebody took from it once, or what expires
        there goes to a queue for people.
        """
        passes_on = self.rules.ttl is not None and self.rules.dead_letters is not None
        taken = self.consumers or self.delivered or self.auto_acked
        return passes_on and not taken and not any(map(DEAD.search, self.buried_in))

    @property
    def for_people(self) -> bool:
        """Whether it holds dead letters that nobody takes: not work, but failed work."""
        return not self.consumers and bool(self.buries or DEAD.search(self.name))


@fact
@dataclass(frozen=True, slots=True)
class RabbitQueues:
    """The queues that were looked at, of ``total`` that this user may see.

    Beyond 2,000 only the 100 with the most messages are looked at. Without ``statistics`` only
    their contents are known.
    """

    queues: tuple[RabbitQueue, ...]
    total: int
    statistics: bool = True


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
            "; ".join(permit(hidden.user, vhost) for vhost in hidden.vhosts[:3] or ("VHOST",)),
        )
    with as_expected("RabbitMQ's /api/queues"):
        rows = [(word(row, "vhost"), word(row, "name"), rules_of(row)) for row in found.rows]
        if "followed" not in rabbit.memory:
            rabbit.memory["followed"] = await followed(rabbit, rows)
        queues = [
            _queue(rabbit, row, rules) for row, (_, _, rules) in zip(found.rows, rows, strict=True)
        ]
        return RabbitQueues(_with_graves(queues), found.total, found.statistics)


def _with_graves(queues: Sequence[RabbitQueue]) -> tuple[RabbitQueue, ...]:
    """Tell each queue whose dead letters come to it, but for those that only wait on their way."""
    buries: dict[tuple[str, str], list[str]] = {}
    for queue in queues:
        for grave in queue.buried_in if not queue.delays else ():
            buries.setdefault((queue.vhost, grave), []).append(queue.name)
    return tuple(
        replace(q, buries=tuple(sorted(buries[q.vhost, q.name])[:5]))
        if (q.vhost, q.name) in buries
        else q
        for q in queues
    )


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
        buried_in=tuple(map(clean, rabbit.memory["followed"].get((vhost, name), ()))),
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
