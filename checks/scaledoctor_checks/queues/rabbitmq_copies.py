"""Queues that are down, and copies that are missing or will be gone."""

from collections.abc import Iterator
from shlex import quote

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity, Step, check
from scaledoctor.sources.rabbitmq import RabbitQueue, RabbitQueues
from scaledoctor_checks.balancing._bounded import bounded
from scaledoctor_checks.queues._rabbitmq import SOURCE, named

DOWN = ("down", "minority", "stopped", "crashed")
"""States in which a queue takes and gives nothing."""


@check("rabbitmq.queue-down", step=Step.SCALE_OUT)
def queue_down(queues: RabbitQueues, /) -> Iterator[Finding]:
    """A queue takes no messages and gives none.

    Why: whoever publishes to it waits or loses messages, and its consumers get nothing.
    How measured: its state: down (its node is), minority (too few copies are up), stopped or
    crashed.
    Fix: start its nodes.
    When to ignore: a node that is restarted now.
    References: RabbitMQ, Quorum Queues; Classic Queues.
    """
    down = [q for q in queues.queues if q.state in DOWN]
    yield from bounded(_down(q, len(down) / len(queues.queues)) for q in down)


def _down(queue: RabbitQueue, share: float) -> Finding:
    copies = (
        f": {queue.online} of {queue.members} copies are up" if queue.members is not None else ""
    )
    return Finding(
        subject=f"rabbitmq {queue.label}",
        summary=f"queue {queue.label} is {queue.state}{copies}",
        severity=Severity.CRITICAL,
        evidence=(Evidence("state", queue.state, source=SOURCE),),
        fixes=(
            Fix(
                "Start the nodes that it lives on",
                ("rabbitmqctl cluster_status", "# on each node that is down:",
                 "systemctl start rabbitmq-server"),
                "shell",
                risk="none",
                verify=f"rabbitmqctl list_queues -p {quote(queue.vhost)} name state",
                undo="none needed",
            ),
        ),
        impact=share,
    )  # fmt: skip


@check("rabbitmq.copies-missing", step=Step.SCALE_OUT)
def copies_missing(queues: RabbitQueues, /) -> Iterator[Finding]:
    """Copies of a quorum queue or stream are missing.

    Why: without a majority of its copies it stands still.
    How measured: online over members. Medium when one more that goes down takes the majority;
    low before that.
    Fix: bring the node back, or add a copy on another one.
    When to ignore: a node that is restarted now.
    References: RabbitMQ, Quorum Queues: managing replicas.
    """
    short = [
        q
        for q in queues.queues
        if q.members is not None and q.online is not None and q.online < q.members
        and q.state not in DOWN
    ]  # fmt: skip
    yield from bounded(_missing(q, q.members or 0, q.online or 0) for q in short)


def _missing(queue: RabbitQueue, members: int, online: int) -> Finding:
    last = online <= members // 2 + 1
    grow = "rabbitmq-queues grow" if queue.kind == "quorum" else "rabbitmq-streams add_replica"
    return Finding(
        subject=f"rabbitmq {queue.label}",
        summary=f"{online} of {members} copies of {queue.label} are up"
        + (": one more down and it stands still" if last else ""),
        severity=Severity.MEDIUM if last else Severity.LOW,
        evidence=(Evidence("copies up", float(online), f"of {members}", float(members), SOURCE),),
        fixes=(
            Fix(
                "Bring its node back; if that is gone for good, put a copy on another one",
                ("rabbitmqctl cluster_status", f"# {grow} --help"),
                "shell",
                risk="a new copy takes in the whole queue once",
                verify=f"rabbitmqctl list_queues -p {quote(queue.vhost)} name members online",
                undo="none needed",
            ),
        ),
        kind=Kind.RISK,
    )


@check("rabbitmq.mirrored-classic", step=Step.SCALE_OUT)
def mirrored_classic(queues: RabbitQueues, /) -> Iterator[Finding]:
    """Classic queues are mirrored, which RabbitMQ 4 has no more.

    Why: after the upgrade they have one copy only; until then a mirror that comes back stops the
    queue while it takes everything in, and each message goes round all mirrors.
    How measured: a policy with ha-mode holds for a classic queue.
    Fix: a quorum queue of another name, then move publishers and consumers.
    When to ignore: never on the way to version 4.
    References: RabbitMQ, Migrate Mirrored Classic Queues to Quorum Queues.
    """
    mirrored = [q for q in queues.queues if q.rules.mirrored and q.kind == "classic"]
    for policy in sorted({(q.vhost, q.policy) for q in mirrored}):
        mine = [q for q in mirrored if (q.vhost, q.policy) == policy]
        vhost, name = policy
        yield Finding(
            subject=f"policy {name} of virtual host {vhost}",
            summary=f"policy {name} mirrors {len(mine)} classic queues ({named(mine)}): RabbitMQ 4 "
            "has no mirrors",
            severity=Severity.LOW,
            evidence=(Evidence("mirrored queues", float(len(mine)), "queues", 0.0, SOURCE),),
            fixes=(
                Fix(
                    f"Declare {mine[0].name} anew as a quorum queue",
                    (
                        "# a queue's type cannot be changed: another name, or an empty queue",
                        f"channel.queue_declare({mine[0].name + '.v2'!r}, durable=True, "
                        "arguments={'x-queue-type': 'quorum'})",
                    ),
                    "text",
                    risk="quorum queues have no priorities before 4.0, and keep all on disk",
                    verify=f"rabbitmqctl list_queues -p {quote(vhost)} name type",
                    undo="publish to the old one again",
                ),
            ),
            kind=Kind.RISK,
        )
