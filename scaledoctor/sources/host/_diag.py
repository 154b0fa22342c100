"""The kernel's socket diagnosis, sock_diag(7): what ss uses, open to every user.

It pairs unix sockets, which /proc does not, and it leaves out connections in TIME_WAIT, of which
a machine may have ten thousand: 16 ms of /proc/net/tcp against less than 1 ms.
"""

import re
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

_BY_FAMILY, _DUMP = 20, 0x301  # SOCK_DIAG_BY_FAMILY; NLM_F_REQUEST | NLM_F_DUMP
_SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
_TCP = 6
ESTABLISHED, SYN_SENT, TIME_WAIT, LISTEN = 1, 2, 6, 10
MOST_ROWS = 60_000
"""Sockets counted in one look: twice the usual range of ports, below 0.2 s."""
POSTGRES_SOCKET = re.compile(r"\.s\.PGSQL\.(\d+)$")
"""PostgreSQL and PgBouncer name their sockets by their port."""


@dataclass(frozen=True, slots=True)
class Row:
    """One TCP socket; addresses are in any form in which equal ones are equal."""

    state: int
    address: str
    port: int
    peer: str
    peer_port: int
    uid: int


def tcp() -> dict[str, Row]:
    """Established and listening TCP sockets of our network namespace by inode.

    Raises:
        OSError: this kernel or sandbox has no sock_diag.

    """
    rows: dict[str, Row] = {}
    for family, message in _messages(1 << ESTABLISHED | 1 << LISTEN):
        port, peer_port = struct.unpack_from("!HH", message, 4)
        uid, inode = struct.unpack_from("=II", message, 64)
        width = 4 if family == socket.AF_INET else 16
        address, peer = message[8 : 8 + width].hex(), message[24 : 24 + width].hex()
        rows[str(inode)] = Row(message[1], address, port, peer, peer_port, uid)
    return rows


@dataclass(frozen=True, slots=True)
class Waiting:
    """One listening TCP socket: connections in its accept queue, and how many may be there."""

    address: str
    port: int
    queue: int
    backlog: int
    inode: str


def listening() -> Iterator[Waiting]:
    """Every listening TCP socket of our network namespace.

    Raises:
        OSError: this kernel or sandbox has no sock_diag.

    """
    for family, message in _messages(1 << LISTEN):
        (port,) = struct.unpack_from("!H", message, 4)
        queue, backlog = struct.unpack_from("=II", message, 56)
        (inode,) = struct.unpack_from("=I", message, 68)
        bound = address(message[8 : 12 if family == socket.AF_INET else 24])
        yield Waiting(bound, port, queue, backlog, str(inode))


def connections() -> Iterator[tuple[int, bytes, int, int]]:
    """Yield (own port, peer, its port, state) of each TCP connection open, begun, or just closed.

    The peer is the address's bytes, for :func:`address`: most are only counted.

    Raises:
        OSError: this kernel or sandbox has no sock_diag.

    """
    states = 1 << ESTABLISHED | 1 << SYN_SENT | 1 << TIME_WAIT
    for family, message in islice(_messages(states), MOST_ROWS):
        port, peer_port = struct.unpack_from("!HH", message, 4)
        yield port, message[24 : 28 if family == socket.AF_INET else 40], peer_port, message[1]


def _messages(states: int) -> Iterator[tuple[int, bytes]]:
    for family in (socket.AF_INET, socket.AF_INET6):
        request = struct.pack("=BBBBI48x", family, _TCP, 0, 0, states)
        for message in _dump(request):
            yield family, message


def address(packed: bytes) -> str:
    """An address of 4 or 16 bytes as people write it."""
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, packed).removeprefix("::ffff:")


def unix_clients() -> dict[str, int]:
    """Client socket's inode -> port of the PostgreSQL unix socket that it is connected to.

    Raises:
        OSError: this kernel or sandbox has no sock_diag.

    """
    found: dict[str, int] = {}
    show = 0x5  # UDIAG_SHOW_NAME | UDIAG_SHOW_PEER
    request = struct.pack("=BBHIIIII", socket.AF_UNIX, 0, 0, 0xFFFFFFFF, 0, show, 0, 0)
    for message in _dump(request):
        attributes = dict(_attributes(message[16:]))
        name, peer = attributes.get(0, b""), attributes.get(2)  # UNIX_DIAG_NAME, UNIX_DIAG_PEER
        match = POSTGRES_SOCKET.search(name.decode(errors="replace").rstrip("\0"))
        if match and peer:
            found[str(struct.unpack("=I", peer[:4])[0])] = int(match[1])
    return found


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        yield kind, data[at + 4 : at + size]
        at += max(4, (size + 3) & ~3)


def _dump(request: bytes) -> Iterator[bytes]:
    """Yield the messages that answer one request."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as channel:
        channel.settimeout(0.2)
        channel.send(struct.pack("=IHHII", 16 + len(request), _BY_FAMILY, _DUMP, 1, 0) + request)
        while data := channel.recv(1 << 18):
            at = 0
            while at + 16 <= len(data):
                length, kind = struct.unpack_from("=IH", data, at)
                if kind != _BY_FAMILY or length < 16:
                    return  # done, or an error
                yield data[at + 16 : at + length]
                at += (length + 3) & ~3
