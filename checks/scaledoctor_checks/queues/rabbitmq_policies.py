"""Rules that a queue lacks: where dead letters go, and how far it may grow."""

from collections.abc import Iterator, Sequence
from shlex import quote

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity, Step, Window, check
from scaledoctor.sources.rabbitmq import (
    RabbitNodes,
    RabbitPolicies,
    RabbitQueue,
    RabbitQueues,
)
from scaledoctor_checks.queues._rabbitmq import (
    SOURCE,
    dead_letter_policy,
    messages,
    named,
    policy,
    require_statistics,
    size,
)

TOGETHER = 10
"""Queues in one policy: a longer pattern cannot be read."""


@check("rabbitmq.no-dead-letters", step=Step.TIGHTEN)
def no_dead_letters(
    window: Window[RabbitQueues], policies: RabbitPolicies | None, /, *, least: int = 1
) -> Iterator[Finding]:
    """No dead-letter exchange takes the messages that are rejected or expire.

    Why: what a consumer rejects is either lost or, requeued, goes round for ever; nobody sees
    what failed.
    How measured: lasting queues with consumers that acknowledge, from ``least`` messages
    delivered, for which neither arguments nor policy name a dead-letter exchange. Medium where
    messages were redelivered in the window. Threshold: one, because the first one may fail.
    Fix: one policy for all of them.
    When to ignore: messages that may be lost, such as live updates.
    References: RabbitMQ, Dead Letter Exchanges.
    """
    require_statistics(window.last)
    first = {(q.vhost, q.name): q.redelivered for q in window.first.queues}
    lacking = [q for q in window.last.queues if _lacks(q, least)]
    for vhost in sorted({q.vhost for q in lacking}):
        mine = [q for q in lacking if q.vhost == vhost]
        again = [q for q in mine if (q.redelivered or 0) > (first.get((vhost, q.name)) or 0)]
        ordered = sorted(mine, key=lambda q: (q not in again, -(q.delivered or 0), q.name))
        yield Finding(
            subject=f"virtual host {vhost}",
            summary=f"{len(mine)} queue{'s' if len(mine) > 1 else ''} of virtual host {vhost} "
            f"without a dead-letter exchange: {named(ordered)}",
            severity=Severity.MEDIUM if again else Severity.LOW,
            evidence=(
                Evidence("queues without one", float(len(mine)), "queues", 0.0, SOURCE),
                Evidence("of them with redeliveries in the window", float(len(again)), "queues",
                         0.0, SOURCE),
            ),
            fixes=tuple(dead_letter_policy(group, policies) for group in _groups(ordered)),
            kind=Kind.RISK,
        )  # fmt: skip


def _lacks(queue: RabbitQueue, least: int) -> bool:
    delivered = (queue.delivered or 0) >= least and bool(queue.consumers)
    named_ = queue.rules.dead_letters is not None or bool(queue.buries)
    return delivered and not named_ and not queue.temporary and queue.kind != "stream"


def _groups(queues: Sequence[RabbitQueue]) -> list[list[RabbitQueue]]:
    """Queues that have the same policy now; the first three groups, ten queues each."""
    groups: dict[str, list[RabbitQueue]] = {}
    for queue in queues:
        groups.setdefault(queue.policy, []).append(queue)
    return [group[:TOGETHER] for group in list(groups.values())[:3]]


@check("rabbitmq.unbounded", step=Step.TIGHTEN)
def unbounded(
    queues: RabbitQueues,
    nodes: RabbitNodes,
    policies: RabbitPolicies | None,
    /,
    *,
    memory: float = 0.25,
    high: float = 0.5,
) -> Iterator[Finding]:
    """A queue may grow until it blocks everybody, and already takes a large part.

    Why: without a length, a size or a time to live a queue grows until memory or disk end; then
    all publishers of the cluster are blocked, those of other queues too.
    How measured: the bytes of its messages over the memory limit of a node (classic queues), or
    over its free disk (quorum queues), from ``memory`` of it; high from ``high``. A stream without
    a retention is told at once, as a low risk: it only grows, and does not tell its bytes.
    Thresholds: at a quarter, four such queues, or one that goes on, raise the alarm.
    Fix: a limit that refuses or drops, by policy.
    When to ignore: a queue whose growth somebody watches.
    References: RabbitMQ, Queue Length Limit; Time-to-Live; Streams, Retention.
    """
    require_statistics(queues)
    limits = [n.memory_limit for n in nodes.nodes if n.memory_limit]
    room = [n.disk_free for n in nodes.nodes if n.disk_free]
    for queue in queues.queues:
        classic = queue.kind == "classic"
        whole = min(limits if classic else room, default=0)
        held = queue.bytes or 0
        if queue.kind == "stream" and queue.ready and not queue.rules.bounded:
            yield _stream(queue, policies)
        if queue.rules.bounded or not whole or held < memory * whole:
            continue
        where = "memory limit" if classic else "free disk"
        yield Finding(
            subject=f"rabbitmq {queue.label}",
            summary=f"{queue.label} has no limit and holds {messages(queue.ready or 0)}, "
            f"{size(held)}: {held / whole:.0%} of the {where}",
            severity=Severity.HIGH if held >= high * whole else Severity.MEDIUM,
            evidence=(
                Evidence("bytes of its messages", float(held), f"of {whole} ({where})",
                         memory * whole, SOURCE),
            ),
            fixes=(_bound(queue, held, policies),),
            kind=Kind.RISK,
        )  # fmt: skip


def _stream(queue: RabbitQueue, policies: RabbitPolicies | None) -> Finding:
    fix = policy(
        f"Keep the messages of {queue.label} for seven days",
        [queue],
        {"max-age": "7D"},
        policies,
        risk="older segments are deleted: consumers that are further behind miss their messages",
        verify=f"rabbitmqctl list_queues -p {quote(queue.vhost)} name policy",
    )
    return Finding(
        subject=f"rabbitmq {queue.label}",
        summary=f"stream {queue.label} has no retention: its {messages(queue.ready or 0)} stay for "
        "ever",
        severity=Severity.LOW,
        evidence=(Evidence("messages in it", float(queue.ready or 0), "messages", source=SOURCE),),
        fixes=(fix,),
        kind=Kind.RISK,
    )


def _bound(queue: RabbitQueue, held: int, policies: RabbitPolicies | None) -> Fix:
    return policy(
        f"Bound {queue.label} at twice of what it holds now",
        [queue],
        {"max-length-bytes": 2 * held, "overflow": "reject-publish"},
        policies,
        risk="from there on its publishers are refused; overflow drop-head drops the oldest "
        "messages instead",
        verify=f"rabbitmqctl list_queues -p {quote(queue.vhost)} name policy",
    )
