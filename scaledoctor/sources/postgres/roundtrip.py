"""How long one question and its answer take, and what of it is neither the server nor the way."""

import socket
import struct
from dataclasses import dataclass
from time import thread_time

from scaledoctor.sdk import Cadence, Unavailable, fact, probe
from scaledoctor.sources.host.session import PROC, text
from scaledoctor.sources.postgres.session import PostgresSession

MIN_RTT = 148
"""Where tcpi_min_rtt stands in struct tcp_info (linux/tcp.h, since 4.6), in microseconds."""

_QUESTION = "SELECT extract(epoch FROM clock_timestamp() - statement_timestamp())::float8 AS took"


@fact
@dataclass(frozen=True, slots=True)
class RoundTrip:
    """One question that costs nothing; all in seconds.

    ``server`` is from the message's arrival in the backend to its answer, ``network`` the least
    that the kernel has seen between both ends (None where it does not tell), ``own`` what our own
    thread computed or waited for a core in between.
    """

    seconds: float
    server: float
    network: float | None
    own: float

    @property
    def lost(self) -> float:
        """The rest: the backend waited for a core before it could begin or answer."""
        return max(0.0, self.seconds - self.server - (self.network or 0.0) - self.own)


@probe(cost="1 query, < 1 ms, twice a second", cadence=Cadence.SAMPLED)
async def round_trip(pg: PostgresSession) -> RoundTrip:
    """Ask for the time; through a pooler the answer would be the pooler's as much."""
    if pg.pooled:
        raise Unavailable("a pooler stands in between: the way to the server is not measured")
    before = _own()
    (row,) = await pg.rows(_QUESTION)
    return RoundTrip(
        seconds=round(pg.spent[-1], 6),
        server=round(row["took"], 6),
        network=_network(pg),
        own=round(_own() - before, 6),
    )


def _own() -> float:
    """Seconds that this thread has had a core or waited for one; the latter only on Linux."""
    fields = (text(PROC / "thread-self" / "schedstat") or "").split()
    waited = int(fields[1]) / 1e9 if len(fields) == 3 else 0.0
    return thread_time() + waited


def _network(pg: PostgresSession) -> float | None:
    """The kernel's own measure, which needs no process at the other end; 0 of a unix socket."""
    try:
        with socket.socket(fileno=socket.dup(pg.wire.connection.fileno())) as same:
            if same.family == socket.AF_UNIX:
                return 0.0
            told = same.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    except (AttributeError, OSError):
        return None  # no such option on this system
    if len(told) < MIN_RTT + 4:
        return None
    (least,) = struct.unpack_from("=I", told, MIN_RTT)
    return float(least) / 1e6
