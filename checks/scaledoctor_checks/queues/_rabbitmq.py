"""RabbitMQ's queues over the window, and policies that can be pasted."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from scaledoctor.sdk import Fix, Unavailable, Window
from scaledoctor.sources.rabbitmq import RabbitPolicies, RabbitQueue, RabbitQueues

SOURCE = "/api/queues"
OVER = 9.0
"""Seconds below which nothing is a rate: the figures move in steps of five seconds."""

API = "http://localhost:15672/api"


@dataclass(frozen=True, slots=True)
class Grown:
    """One queue over the window; ``queue`` is its last reading.

    The numbers are what its counters grew by, None where they are not told or were reset.
    """

    queue: RabbitQueue
    readings: Sequence[RabbitQueue]
    seconds: float
    published: float | None
    delivered: float | None
    redelivered: float | None
    acked: float | None

    @property
    def key(self) -> str:
        """The resource that its consumers are."""
        return f"queue.workers:rabbitmq {self.queue.label}"

    @property
    def least_unacked(self) -> int:
        """Messages in consumers' hands at every reading, at least."""
        return min(q.unacked or 0 for q in self.readings)


def require_statistics(queues: RabbitQueues) -> None:
    """Raise Unavailable where the broker was told to keep none."""
    if not queues.statistics:
        enable = "management.disable_stats = false in rabbitmq.conf, and a restart"
        raise Unavailable("RabbitMQ keeps no statistics", enable)


def grown(window: Window[RabbitQueues]) -> list[Grown]:
    """Every queue that was seen at each reading.

    Raises:
        Unavailable: the window is too short for rates, or the broker keeps no statistics.

    """
    require_statistics(window.last)
    if window.seconds < OVER:
        reason = "RabbitMQ's figures change every 5 s: rates need 10 s"
        raise Unavailable(reason, "scan with --window 10")
    tables = [{(q.vhost, q.name): q for q in sample.queues} for sample in window]
    found: list[Grown] = []
    for key, last in tables[-1].items():
        readings = [table[key] for table in tables if key in table]
        if len(readings) == len(tables):
            found.append(
                Grown(
                    queue=last,
                    readings=readings,
                    seconds=window.seconds,
                    published=_delta(readings, lambda q: q.published),
                    delivered=_delta(readings, lambda q: q.delivered),
                    redelivered=_delta(readings, lambda q: q.redelivered),
                    acked=_delta(readings, lambda q: q.acked),
                )
            )
    return found


def _delta(
    readings: Sequence[RabbitQueue], counter: Callable[[RabbitQueue], int | None]
) -> float | None:
    first, last = counter(readings[0]), counter(readings[-1])
    return None if first is None or last is None or last < first else float(last - first)


def messages(count: float) -> str:
    """1 message, 1,200 messages."""
    return f"{count:,.0f} message{'' if count == 1 else 's'}"


def named(queues: Sequence[RabbitQueue]) -> str:
    """The first five names."""
    return ", ".join(q.label for q in queues[:5]) + (", ..." if len(queues) > 5 else "")


def size(count: float) -> str:
    """Bytes: 340 MB, 1.2 GB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def policy(
    title: str,
    queues: Sequence[RabbitQueue],
    settings: Mapping[str, str | int],
    policies: RabbitPolicies | None,
    *,
    before: Sequence[str] = (),
    risk: str,
    verify: str,
) -> Fix:
    """A policy for queues of one virtual host that have the same policy now, if any.

    Only the one with the highest priority holds for a queue: the new one repeats the old one.
    """
    vhost = queues[0].vhost
    old = policies.find(vhost, queues[0].policy) if policies and queues[0].policy else None
    definition = {**(json.loads(old.definition) if old else {}), **settings}
    name = f"scaledoctor-{re.sub(r'[^A-Za-z0-9_.-]', '-', queues[0].name)}"
    names = "|".join(re.escape(q.name) for q in queues)
    pattern = f"^{names}$" if len(queues) == 1 else f"^({names})$"
    words = (
        f"rabbitmqctl set_policy -p {quote(vhost)} --apply-to queues "
        f"--priority {old.priority + 1 if old else 1} {quote(name)} {quote(pattern)} "
        f"{quote(json.dumps(definition, sort_keys=True))}"
    )
    one = "only one policy holds for a queue: after it scan again before any other"
    unknown = queues[0].policy and old is None
    return Fix(
        title,
        (*before, words),
        "shell",
        risk=f"it takes the place of the policy {queues[0].policy}, which we could not read; {risk}"
        if unknown
        else f"{risk}; {one}",
        verify=verify,
        undo=f"rabbitmqctl clear_policy -p {quote(vhost)} {quote(name)}",
    )


def dead_letter_policy(
    queues: Sequence[RabbitQueue], policies: RabbitPolicies | None, **more: str | int
) -> Fix:
    """A queue for the dead letters of these queues, and the policy that sends them there.

    The default exchange delivers by a queue's name, so that it takes no exchange and no binding.
    """
    vhost, first = queues[0].vhost, queues[0]
    grave = f"{first.name}.dlq" if len(queues) == 1 else "dead-letters"
    place = f"{API}/queues/{_encoded(vhost)}/{_encoded(grave)}"
    what = first.label if len(queues) == 1 else f"{len(queues)} queues of virtual host {vhost}"
    return policy(
        f"Give the dead letters of {what} a queue: {grave}",
        queues,
        {"dead-letter-exchange": "", "dead-letter-routing-key": grave, **more},
        policies,
        before=(
            "curl -u ADMINISTRATOR -X PUT -H 'Content-Type: application/json' "
            f"-d '{{\"durable\": true}}' {quote(place)}",
        ),
        risk=f"{grave} grows until somebody reads it: watch its depth",
        verify=f"rabbitmqctl list_queues -p {quote(vhost)} name policy",
    )


def _encoded(text: str) -> str:
    from urllib.parse import quote as encode

    return encode(text, safe="")
