"""PgBouncer's own process, where it runs on this machine: its limit of open files."""

import os
import re
from dataclasses import dataclass

from scaledoctor.sdk import Unavailable, fact, probe
from scaledoctor.sources.host._sockets import our_table, sockets
from scaledoctor.sources.host.session import PROC, pids, text
from scaledoctor.sources.pgbouncer.session import PgBouncerSession

_FILES = re.compile(r"^Max open files +(\S+)", re.MULTILINE)


@fact
@dataclass(frozen=True, slots=True)
class PoolerProcess:
    """The process that listens on the console's port, or the only PgBouncer of the machine.

    ``instances`` share the port (so_reuseport). ``files`` is the soft limit of open files, None
    without one; ``open`` is how many are, None when not ours to see.
    """

    pid: int
    instances: int
    files: int | None
    open: int | None


@probe(cost="4 small files; the descriptors of every PgBouncer here")
async def pooler_process(console: PgBouncerSession) -> PoolerProcess:
    """Find the process and read /proc/PID/limits."""
    if console.local_port is None:
        raise Unavailable("PgBouncer's process is on another machine", "scan there")
    mine = _listeners(console.local_port)
    limits = text(PROC / str(mine[0]) / "limits") or "" if mine else ""
    match = _FILES.search(limits)
    if not mine or match is None:
        raise Unavailable(
            "PgBouncer's process is not ours to see", "run the scan as root or as PgBouncer's user"
        )
    return PoolerProcess(
        pid=mine[0],
        instances=len(mine),
        files=int(match[1]) if match[1].isdigit() else None,
        open=_open(mine[0]),
    )


def _listeners(port: int) -> list[int]:
    named = [p for p in pids() if (text(PROC / str(p) / "comm") or "").strip() == "pgbouncer"]
    known = sockets(named, our_table())
    found = [pid for pid in named if pid in known and port in known[pid].serves]
    return sorted(found) or (named if len(named) == 1 else [])


def _open(pid: int) -> int | None:
    try:
        return len(os.listdir(PROC / str(pid) / "fd"))
    except OSError:
        return None
