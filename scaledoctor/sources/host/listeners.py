"""Accept queues: connections that are made and that the program has not taken yet."""

from dataclasses import dataclass

from scaledoctor.sdk import Cadence, Unavailable, fact, probe
from scaledoctor.sources.host._diag import listening
from scaledoctor.sources.host._owners import owners
from scaledoctor.sources.host.session import HostSession


@dataclass(frozen=True, slots=True)
class Listener:
    """One listening TCP socket with a queue, and the program that should empty it.

    ``backlog`` is how many may wait; the kernel lets in one more. ``label`` is empty when the
    program is not ours to see.
    """

    address: str
    port: int
    queue: int
    backlog: int
    label: str = ""

    @property
    def full(self) -> bool:
        """Whether the next connection is dropped, or nearly so."""
        return self.queue >= max(1, self.backlog)


@fact
@dataclass(frozen=True, slots=True)
class Listeners:
    """The listening sockets that somebody waits at, at one moment; all others have no queue."""

    waiting: tuple[Listener, ...] = ()


@probe(cost="1 netlink dump, < 1 ms, once a second", cadence=Cadence.SAMPLED, every=1.0)
async def listeners(host: HostSession) -> Listeners:
    """Ask the kernel, as ss does: /proc/net/tcp does not tell the backlog."""
    try:
        found = [one for one in listening() if one.queue]
    except OSError as error:
        raise Unavailable(f"no socket diagnosis here: {error.strerror}") from None
    names = owners(host, [one.inode for one in found if one.queue >= max(1, one.backlog)])
    return Listeners(
        tuple(
            Listener(one.address, one.port, one.queue, one.backlog, names.get(one.inode, ""))
            for one in found
        )
    )
