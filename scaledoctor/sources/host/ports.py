"""Ports: those taken for outgoing connections, and services that listen where those come from."""

from collections import Counter
from dataclasses import dataclass

from scaledoctor.sdk import Cadence, Unavailable, fact, probe
from scaledoctor.sources.host._diag import TIME_WAIT, address, connections, listening
from scaledoctor.sources.host._owners import owners
from scaledoctor.sources.host.session import PROC, HostSession, required, text

KEPT = 10
"""Destinations kept: those with most connections."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Outgoing TCP connections to one address and port: in use, and closed but not yet free."""

    peer: str
    port: int
    used: int
    waiting: int


@fact
@dataclass(frozen=True, slots=True)
class Ports:
    """The range (both ends are in it) that outgoing connections take their ports from.

    Each destination has the whole range to itself. ``inside`` are (port, program) of sockets that
    listen in the range and are not reserved; the program is empty when it is not ours to see.
    """

    low: int
    high: int
    destinations: tuple[Destination, ...] = ()
    inside: tuple[tuple[int, str], ...] = ()

    @property
    def size(self) -> int:
        """How many ports there are."""
        return max(1, self.high - self.low + 1)


@probe(cost="2 netlink dumps, about 1 ms for 1000 connections, once", cadence=Cadence.LAST)
async def ports(host: HostSession) -> Ports:
    """Ask the kernel for its sockets and for the range."""
    settings = PROC / "sys" / "net" / "ipv4"
    low, high = map(int, required(settings / "ip_local_port_range").split())
    reserved = _ranges(text(settings / "ip_local_reserved_ports") or "")
    try:
        served = {one.port: one.inode for one in listening()}
        found = Counter(
            (peer, peer_port, state == TIME_WAIT)
            for port, peer, peer_port, state in connections()
            if low <= port <= high and port not in served
        )
    except OSError as error:
        raise Unavailable(f"no socket diagnosis here: {error.strerror}") from None
    places = Counter({(peer, port): 0 for peer, port, _ in found})
    for (peer, port, _), count in found.items():
        places[peer, port] += count
    inside = {
        port: inode
        for port, inode in served.items()
        if low <= port <= high and not any(a <= port <= b for a, b in reserved)
    }
    names = owners(host, inside.values())
    return Ports(
        low=low,
        high=high,
        destinations=tuple(
            Destination(address(at), port, found[at, port, False], found[at, port, True])
            for (at, port), _ in places.most_common(KEPT)
        ),
        inside=tuple((port, names[inode]) for port, inode in sorted(inside.items())),
    )


def _ranges(reserved: str) -> list[tuple[int, int]]:
    """Such as "8080,9000-9010"."""
    parts = (part.partition("-") for part in reserved.strip().split(",") if part)
    return [(int(first), int(last or first)) for first, _, last in parts]
