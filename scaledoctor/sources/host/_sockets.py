"""Whom a process talks to: its own descriptors against the kernel's tables of sockets."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scaledoctor.sources.host._diag import (
    ESTABLISHED,
    LISTEN,
    POSTGRES_SOCKET,
    Row,
    tcp,
    unix_clients,
)
from scaledoctor.sources.host.session import PROC, text

Table = Mapping[str, Row]


@dataclass(frozen=True, slots=True)
class Sockets:
    """Ports: ``peers`` connected to on this machine, ``remote`` elsewhere, ``serves`` its own."""

    peers: tuple[int, ...] = ()
    remote: tuple[int, ...] = ()
    serves: tuple[int, ...] = ()


def our_table() -> Table:
    """Established and listening TCP sockets of our network namespace by inode."""
    try:
        return tcp()
    except OSError:
        return _from_proc(PROC / "self")


def sockets(pids: Iterable[int], ours: Table) -> Mapping[int, Sockets]:
    """Return the sockets of each process; those whose descriptors are not ours are left out.

    ``ours`` is :func:`our_table`; other namespaces' tables are read once each.
    """
    tables: dict[str, Table] = {_link(PROC / "self" / "ns" / "net"): ours}
    try:
        unix: Mapping[str, int] = unix_clients()
    except OSError:
        unix = {}
    found: dict[int, Sockets] = {}
    for pid in pids:
        folder = PROC / str(pid)
        inodes = _inodes(folder)
        if inodes is None:
            continue
        space = _link(folder / "ns" / "net")
        if inodes and space not in tables:
            tables[space] = _from_proc(folder)
        table = tables.get(space, {})
        mine = _sorted_out([table[inode] for inode in inodes if inode in table])
        local = {unix[inode] for inode in inodes if inode in unix}
        found[pid] = Sockets(tuple(sorted({*mine.peers, *local})), mine.remote, mine.serves)
    return found


def _sorted_out(rows: list[Row]) -> Sockets:
    """Tell connections made from connections accepted: those have a port that is listened on."""
    serves = {row.port for row in rows if row.state == LISTEN}
    made = [row for row in rows if row.state == ESTABLISHED and row.port not in serves]
    return Sockets(
        peers=tuple(sorted({row.peer_port for row in made if _is_here(row)})),
        remote=tuple(sorted({row.peer_port for row in made if not _is_here(row)})),
        serves=tuple(sorted(serves)),
    )


def _is_here(row: Row) -> bool:
    """Whether both ends have one address, as when a machine talks to itself."""
    return row.address == row.peer


def database_ports() -> tuple[int, ...]:
    """Return the ports of PostgreSQL and PgBouncer here, by their sockets, which all may see."""
    names = (row.rpartition(" ")[2] for row in (text(PROC / "net" / "unix") or "").splitlines())
    found = (POSTGRES_SOCKET.search(name) for name in names)
    return tuple(sorted({int(match[1]) for match in found if match}))


def client_users(ports: Iterable[int], ours: Table) -> tuple[int, ...]:
    """Return the user ids that hold a TCP connection to one of these ports of this machine."""
    wanted = set(ports)
    made = (r for r in ours.values() if r.state == ESTABLISHED and r.peer_port in wanted)
    return tuple(sorted({row.uid for row in made if _is_here(row)}))


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _inodes(folder: Path) -> set[str] | None:
    try:
        links = [_link(entry) for entry in (folder / "fd").iterdir()]
    except OSError:
        return None
    return {link[8:-1] for link in links if link.startswith("socket:[")}


def _from_proc(folder: Path) -> Table:
    """The same from /proc/PID/net, for other namespaces and where sock_diag is shut."""
    rows: dict[str, Row] = {}
    for name in ("tcp", "tcp6"):
        for line in (text(folder / "net" / name) or "").splitlines()[1:]:
            fields = line.split(None, 10)
            if (state := int(fields[3], 16)) in (ESTABLISHED, LISTEN):
                address, port = fields[1].split(":")
                peer, peer_port = fields[2].split(":")
                ends = (address, int(port, 16), peer, int(peer_port, 16))
                rows[fields[9]] = Row(state, *ends, int(fields[7]))
    return rows
