"""PostgreSQL's own words in the process table: who is connected, even when we are refused."""

import re
from dataclasses import dataclass
from pathlib import Path

from scaledoctor.sdk import fact, probe
from scaledoctor.sources.host._sockets import database_ports
from scaledoctor.sources.host.session import PROC, HostSession, pids, text

_TITLE = re.compile(
    r"postgres: (?:[^:\s]+: )?(?!walsender )(?P<user>\S+) (?P<database>\S+) "
    r"(?P<client>\[local\]|[^\s(]+\(\d+\)) (?P<state>.+)"
)
"""``postgres: [cluster_name: ]user database client(port) state`` (ps_status.c, 9.6 and later)."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One client backend by its title; ``port`` is its server's, None when not ours to see.

    ``state`` is "idle", "idle in transaction", or the command's tag, with "waiting" when it
    waits for a lock; ``client`` is the address without its port; ``postmaster`` is the server's
    process.
    """

    pid: int
    port: int | None
    user: str
    database: str
    state: str
    client: str = ""
    postmaster: int = 0


@fact
@dataclass(frozen=True, slots=True)
class PostgresTitles:
    """The client backends of every PostgreSQL on this host (empty with update_process_title off).

    ``ports`` are the ports of the servers that run here.
    """

    backends: tuple[Backend, ...]
    ports: tuple[int, ...]


@probe(cost="1 small file per process")
async def postgres_titles(host: HostSession) -> PostgresTitles:
    """Read the titles of PostgreSQL's processes, which everybody may."""
    titles: dict[int, tuple[int, str]] = {}
    for pid in pids():
        title = (text(f"{PROC}/{pid}/cmdline") or "").rstrip("\0 ")
        if title.startswith("postgres: "):
            titles[pid] = (_parent(pid), title)
    ports = _ports({parent for parent, _ in titles.values()})
    backends: list[Backend] = []
    for pid, (parent, title) in titles.items():
        if match := _TITLE.fullmatch(title):
            words = {name: host.redactor.text(value) for name, value in match.groupdict().items()}
            words["client"] = words["client"].partition("(")[0]
            backends.append(Backend(pid=pid, port=ports[parent], postmaster=parent, **words))
    known = sorted({port for port in ports.values() if port is not None})
    return PostgresTitles(tuple(backends), tuple(known))


def _parent(pid: int) -> int:
    stat = text(PROC / str(pid) / "stat") or ""
    fields = stat.rpartition(")")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0


def _ports(postmasters: set[int]) -> dict[int, int | None]:
    """Each server's port; the last one unknown is the last socket that nobody claimed.

    With PgBouncer on the machine two sockets may be left: then it stays unknown.
    """
    found = {pid: _port(PROC / str(pid)) for pid in postmasters}
    unknown = [pid for pid, port in found.items() if port is None]
    left = sorted(set(database_ports()) - {port for port in found.values() if port is not None})
    if len(unknown) == len(left) == 1:
        found[unknown[0]] = left[0]
    return found


def _port(postmaster: Path) -> int | None:
    """The port: line 4 of postmaster.pid in the working folder, or -p on the command line."""
    lines = (text(postmaster / "cwd" / "postmaster.pid") or "").splitlines()
    if len(lines) > 3 and lines[3].isdigit():
        return int(lines[3])
    command = (text(postmaster / "cmdline") or "").replace("\0", " ")
    match = re.search(r" (?:-p ?|--port=|-c port=)(\d+)\b", command)
    return int(match[1]) if match else None
