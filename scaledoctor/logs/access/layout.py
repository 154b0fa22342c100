"""What every format gives: the same seven fields of each request."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scaledoctor.logs.readers import Stamp

Row = tuple[bytes, bytes, bytes, bytes, bytes, bytes, bytes]
"""One request: ``GET /path`` without its query, status, time, upstream time, upstream address,
upstream status, time in the balancer's queue. Upstream fields may be lists of tries, ``a, b``;
what is not known is empty or ``-``. A request that its client gave up has status 499."""

ABORTED = b"499"

REQUEST = rb'"([A-Z]++ [^ ?"\\\n]*+(?:\\.[^ ?"\\\n]*+)*+)?+[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"'
"""A quoted request line, its method and path a group; possessive, so that it takes linear time."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A recognised format.

    ``rows`` reads all lines of a block that it understands, ``stamp`` the time of one line.
    ``scale`` is the seconds of one unit of its times. The flags say which fields it has at all;
    with ``grouped`` an address is ``backend/server``. ``proxied`` says that a 502 or 504 among
    the upstream's answers is the balancer's word for no answer, as nginx writes it.
    """

    name: str
    rows: Callable[[bytes], Sequence[Row]]
    stamp: Stamp
    scale: float = 1.0
    timed: bool = False
    upstream_timed: bool = False
    upstreams: bool = False
    answers: bool = False
    grouped: bool = False
    proxied: bool = False
