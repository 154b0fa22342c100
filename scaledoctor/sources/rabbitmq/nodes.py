"""The nodes: memory, disk, files and processes against their limits."""

from collections.abc import Mapping
from dataclasses import dataclass

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.proxies import as_expected
from scaledoctor.sources.rabbitmq._values import Json, part, total, whole, word
from scaledoctor.sources.rabbitmq.session import RabbitSession

COLUMNS = (
    "name,running,partitions,mem_used,mem_limit,disk_free,disk_free_limit,fd_used,fd_total,"
    "sockets_used,sockets_total,proc_used,proc_total"
)

FULL = 0.8
"""Of its memory limit, from which a node is asked what it keeps there."""

MOST_NODES = 3
"""Nodes that are asked."""

_KEPT: Mapping[str, tuple[str, ...]] = {
    "queues": ("queue_procs", "queue_slave_procs", "quorum_queue_procs", "quorum_queue_dlx_procs",
               "quorum_ets", "stream_queue_procs", "msg_index"),
    "message bodies": ("binary",),
    "connections and channels": ("connection_readers", "connection_writers",
                                 "connection_channels", "connection_other"),
    "management statistics": ("mgmt_db", "metrics"),
    "plugins": ("plugins",),
    "metadata of queues and exchanges": ("mnesia", "metadata_store", "metadata_store_ets"),
}  # fmt: skip
"""The parts of /api/nodes/NAME/memory that somebody can do something about."""


@dataclass(frozen=True, slots=True)
class RabbitNode:
    """One node; bytes, None where it does not tell. All of it is up to ten seconds old.

    ``partitions`` are nodes that it has lost sight of. At ``memory_limit`` used, or
    ``disk_limit`` free, publishers of the whole cluster are blocked.
    """

    name: str
    running: bool
    partitions: tuple[str, ...] = ()
    memory: int | None = None
    memory_limit: int | None = None
    disk_free: int | None = None
    disk_limit: int | None = None
    files: int | None = None
    files_limit: int | None = None
    sockets: int | None = None
    sockets_limit: int | None = None
    processes: int | None = None
    processes_limit: int | None = None


@fact
@dataclass(frozen=True, slots=True)
class RabbitNodes:
    """All nodes of the cluster."""

    nodes: tuple[RabbitNode, ...]


@probe(cost="1 request", cadence=Cadence.EDGES)
async def rabbit_nodes(rabbit: RabbitSession) -> RabbitNodes:
    """Read /api/nodes."""
    rabbit.require_monitoring("the nodes")
    found = await rabbit.json("nodes", query={"columns": COLUMNS})
    with as_expected("RabbitMQ's /api/nodes"):
        rabbit.memory["nodes"] = {rabbit.redactor.text(word(n, "name")): n["name"] for n in found}
        return RabbitNodes(tuple(_node(rabbit, node) for node in found))


def _node(rabbit: RabbitSession, found: Json) -> RabbitNode:
    lost = found.get("partitions")
    return RabbitNode(
        name=rabbit.redactor.text(word(found, "name")),
        running=found.get("running") is True,
        partitions=tuple(map(str, lost)) if isinstance(lost, list) else (),
        memory=whole(found, "mem_used"),
        memory_limit=whole(found, "mem_limit"),
        disk_free=whole(found, "disk_free"),
        disk_limit=whole(found, "disk_free_limit"),
        files=whole(found, "fd_used"),
        files_limit=whole(found, "fd_total"),
        sockets=whole(found, "sockets_used"),
        sockets_limit=whole(found, "sockets_total"),
        processes=whole(found, "proc_used"),
        processes_limit=whole(found, "proc_total"),
    )


@fact
@dataclass(frozen=True, slots=True)
class RabbitMemory:
    """What nodes that are nearly full keep in memory: bytes by (node, what)."""

    kept: tuple[tuple[str, str, int], ...]


@probe(cost="none; one request for each of at most 3 nodes that are nearly full",
       cadence=Cadence.LAST)  # fmt: skip
async def rabbit_memory(rabbit: RabbitSession, nodes: RabbitNodes) -> RabbitMemory:
    """Read /api/nodes/NAME/memory where memory runs out."""
    full = [n for n in nodes.nodes if n.memory and n.memory >= FULL * (n.memory_limit or 0)]
    kept: list[tuple[str, str, int]] = []
    for node in full[:MOST_NODES]:
        found = await rabbit.json("nodes", rabbit.memory["nodes"][node.name], "memory")
        with as_expected("RabbitMQ's /api/nodes/NAME/memory"):
            parts = part(found, "memory")
            sums = {what: total(*(whole(parts, n) for n in names)) for what, names in _KEPT.items()}
            kept.extend((node.name, what, size) for what, size in sums.items() if size)
    return RabbitMemory(tuple(kept))
