"""Alarms of memory and disk: RabbitMQ then blocks everybody who publishes."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote

from scaledoctor.sdk import Evidence, Finding, Fix, Severity, Step, Use, Window, check, resource
from scaledoctor.sources.rabbitmq import (
    RabbitAlarms,
    RabbitClients,
    RabbitMemory,
    RabbitNode,
    RabbitNodes,
    RabbitPolicies,
    RabbitQueue,
    RabbitQueues,
)
from scaledoctor_checks.queues._rabbitmq import SOURCE, messages, policy, size
from scaledoctor_checks.queues.rabbitmq_nodes import largest_part

HEALTH = "/api/health/checks/alarms"


@resource("rabbitmq.publishers", step=Step.OFFLOAD)
def publishers(
    window: Window[RabbitAlarms],
    clients: Window[RabbitClients] | None,
    /,
    *,
    warn: float = 0.05,
    critical: float = 0.5,
) -> Use:
    """The share of the time in which an alarm blocks everybody who publishes.

    How measured: the health check of alarms, once a second; connections in state "blocked" are
    those that wait.
    Thresholds: busy from ``warn``, a second or so in twenty; saturated from ``critical``.
    """
    share = window.mean(lambda a: float(bool(a.alarms)))
    return Use(
        used=share,
        limit=1.0,
        unit="of the time blocked",
        warn=warn,
        critical=critical,
        waiting=blocked(clients)[0],
        scales=False,
        detail=f"an alarm blocks them {share:.0%} of the time" if share else "",
    )


def blocked(clients: Window[RabbitClients] | None) -> tuple[float, float]:
    """Connections that wait to publish, and all of them; the most seen, means of nothing else."""
    if clients is None:
        return 0.0, 0.0
    waiting = clients.peak(lambda c: sum(x.blocked for x in c.clients))
    return waiting, float(sum(x.connections for x in clients.last.clients))


@dataclass(frozen=True, slots=True)
class _Alarm:
    """An alarm: where, of what, and for which share of the window."""

    node: str
    what: str
    share: float
    now: bool

    @property
    def subject(self) -> str:
        return f"{self.what} of {self.node}"


@check("rabbitmq.alarm", step=Step.OFFLOAD)
def alarm(
    window: Window[RabbitAlarms],
    nodes: RabbitNodes | None,
    memory: RabbitMemory | None,
    queues: RabbitQueues | None,
    clients: Window[RabbitClients] | None,
    policies: RabbitPolicies | None,
    /,
    *,
    holds: float = 0.25,
) -> Iterator[Finding]:
    """RabbitMQ blocks everybody who publishes: memory or disk has run out.

    Why: publishers get no error; they hang in the middle of a request, and the site with them,
    on every node of the cluster.
    How measured: the health check of alarms once a second, because /api/nodes tells it ten
    seconds late; connections in state "blocked". A queue is named as the cause from ``holds`` of
    the node's memory: below a quarter it is one of many.
    Fix: have the largest queue worked off or bounded; more memory or disk, by a higher limit for
    the moment.
    When to ignore: never.
    References: RabbitMQ, Memory and Disk Alarms; Blocked Connections.
    """
    waiting, connected = blocked(clients)
    for each in _alarms(window):
        node = next((n for n in nodes.nodes if n.name == each.node), None) if nodes else None
        held = _largest(queues, node) if each.what == "memory" else None
        named = held if held and held[1] >= holds else None
        yield Finding(
            subject=each.subject,
            summary=_summary(each, node, waiting, named),
            severity=Severity.CRITICAL if each.now else Severity.HIGH,
            evidence=(
                Evidence("share of the window in alarm", each.share, "share", 0.0, HEALTH),
                Evidence("connections that wait to publish, most", waiting, f"of {connected:.0f}",
                         source="/api/connections"),
                *_room(each, node),
                *((Evidence(f"held by {named[0].label}", named[1], "of the memory used", holds,
                            SOURCE),) if named else ()),
                *(largest_part(memory, each.node) if each.what == "memory" else ()),
            ),
            fixes=tuple(_fixes(each, node, named[0] if named else None, policies)),
            explains={"rabbitmq.publishers": 1.0},
            waits_for={f"queue.workers:rabbitmq {named[0].label}": named[1]} if named else {},
            impact=each.share,
        )  # fmt: skip


def _alarms(window: Window[RabbitAlarms]) -> list[_Alarm]:
    seen = Counter(pair for sample in window for pair in sample.alarms)
    return [
        _Alarm(*pair, share=count / len(window), now=pair in window.last.alarms)
        for pair, count in sorted(seen.items())
    ]


def _largest(
    queues: RabbitQueues | None, node: RabbitNode | None
) -> tuple[RabbitQueue, float] | None:
    """The queue that holds most memory, and its share of what the node uses."""
    if queues is None or not queues.queues or node is None or not node.memory:
        return None
    largest = max(queues.queues, key=lambda q: (held(q), q.name))
    return largest, min(1.0, held(largest) / node.memory)


def held(queue: RabbitQueue) -> int:
    """Bytes of memory: its process, and the bodies that a classic queue keeps there."""
    return (queue.memory or 0) + (queue.ram or 0)


def _summary(
    each: _Alarm, node: RabbitNode | None, waiting: float, named: tuple[RabbitQueue, float] | None
) -> str:
    share = "" if each.now and each.share == 1.0 else f" {each.share:.0%} of the time"
    who = f"; {waiting:.0f} connections hang in it" if waiting else ""
    head = f"RabbitMQ blocks all publishers{share}: {each.what} alarm on {each.node}"
    room = ""
    if each.what == "memory" and _agrees(each, node) and node and node.memory:
        room = f" ({size(node.memory)} used, the limit is {size(node.memory_limit or 0)})"
    if each.what == "disk" and _agrees(each, node) and node:
        room = f" ({size(node.disk_free or 0)} free, the limit is {size(node.disk_limit or 0)})"
    if named is None:
        return f"{head}{room}{who}"
    queue, part = named
    return f"{head}{room}{who}; queue {queue.label} holds {part:.0%} of it"


def _agrees(each: _Alarm, node: RabbitNode | None) -> bool:
    """Whether the node's own figures, which come later, show the alarm already."""
    if node is None:
        return False
    if each.what == "memory":
        return bool(node.memory and node.memory_limit and node.memory >= node.memory_limit)
    return bool(node.disk_limit and (node.disk_free or 0) <= node.disk_limit)


def _room(each: _Alarm, node: RabbitNode | None) -> Iterator[Evidence]:
    if node is None or not _agrees(each, node):
        return
    if each.what == "memory":
        used, limit = float(node.memory or 0), float(node.memory_limit or 0)
        yield Evidence("memory used", used, "bytes", limit, "/api/nodes")
    else:
        free, limit = float(node.disk_free or 0), float(node.disk_limit or 0)
        yield Evidence("disk free", free, "bytes", limit, "/api/nodes")


def _fixes(
    each: _Alarm,
    node: RabbitNode | None,
    queue: RabbitQueue | None,
    policies: RabbitPolicies | None,
) -> Iterator[Fix]:
    if queue is not None:
        yield _bound(queue, policies)
    limit = node.memory_limit if node else None
    if each.what == "memory":
        yield Fix(
            "Let publishers go on for the moment: a higher limit",
            (f"rabbitmqctl -n {quote(each.node)} set_vm_memory_high_watermark 0.7",),
            "shell",
            risk="the node may take 70 % of the machine's memory and more for a moment: the kernel "
            "ends it when there is none; it lasts until the node restarts",
            verify="rabbitmq-diagnostics check_alarms",
            undo=f"rabbitmqctl -n {quote(each.node)} set_vm_memory_high_watermark "
            + (f"absolute {limit}" if limit else "0.4"),
        )
        return
    old = node.disk_limit if node and node.disk_limit else 50_000_000
    lower = max(50_000_000, min(old, (node.disk_free or 0) // 2) if node else 0)
    yield Fix(
        "Free disk space; let publishers go on for the moment with a lower limit",
        (
            f"# on {each.node}: du -xsh /var/lib/rabbitmq /var/log/* | sort -h | tail",
            f"rabbitmqctl -n {quote(each.node)} set_disk_free_limit {lower}",
        ),
        "shell",
        risk="a full disk ends the node and may cost messages; it lasts until the node restarts",
        verify="rabbitmq-diagnostics check_alarms",
        undo=f"rabbitmqctl -n {quote(each.node)} set_disk_free_limit {old}",
    )


def _bound(queue: RabbitQueue, policies: RabbitPolicies | None) -> Fix:
    most = max(10_000_000, (queue.bytes or 0) // 2)
    return policy(
        f"Bound {queue.label}, so that it refuses messages instead of blocking everybody",
        [queue],
        {"max-length-bytes": most, "overflow": "reject-publish"},
        policies,
        before=(
            f"# it has {messages(queue.ready or 0)} and {queue.consumers or 0} consumers: start "
            "what takes from it first",
        ),
        risk="its publishers are refused (basic.nack with confirms, silently without) from "
        f"{size(most)} on",
        verify="scaledoctor scan again: no alarm",
    )
