"""Which node of a cluster holds a key."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scaledoctor.sources.redis._allowed import FAMILIES, Command
from scaledoctor.sources.redis._wire import Reply, Wire

EVERYWHERE = ("CLIENT", "CONFIG", "INFO", "LATENCY", "PING", "SLOWLOG")
"""Commands without a key; the first node answers them."""


@dataclass(frozen=True, slots=True)
class Node:
    """A master: where it listens, and the slots that it holds, both ends included."""

    host: str
    port: int
    slots: tuple[tuple[int, int], ...]


def nodes_of(reply: Reply) -> tuple[Node, ...]:
    """Read CLUSTER SLOTS: [first, last, [host, port, id, ...], replicas ...] for each range."""
    found: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for first, last, master, *_ in reply if isinstance(reply, list) else ():
        host = master[0].decode("utf-8", "replace") if master[0] else ""
        found.setdefault((host, master[1]), []).append((first, last))
    return tuple(Node(host, port, tuple(slots)) for (host, port), slots in found.items())


@dataclass(frozen=True, slots=True)
class Nodes:
    """The connections of one target: one server, or each master of a cluster."""

    wires: tuple[Wire, ...]
    slots: tuple[tuple[int, int, int], ...] = ()

    def holder(self, command: Command) -> Wire:
        """The connection to whoever holds the command's key."""
        if len(self.wires) == 1 or str(command[0]).upper() in EVERYWHERE:
            return self.wires[0]
        from redis.crc import key_slot

        key = command[2] if str(command[0]).upper() in FAMILIES else command[1]
        slot = key_slot(key if isinstance(key, bytes) else str(key).encode())
        return self.wires[next((n for first, last, n in self.slots if first <= slot <= last), 0)]

    def batches(self, commands: Sequence[Command]) -> Iterator[tuple[Wire, list[int]]]:
        """Each connection with the positions of its commands."""
        holders = [self.holder(command) for command in commands]
        for wire in self.wires:
            if mine := [i for i, holder in enumerate(holders) if holder is wire]:
                yield wire, mine
