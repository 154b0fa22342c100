"""Open files: of the whole system, and of each process against its own limit."""

import os
import re
from dataclasses import dataclass
from time import monotonic

from scaledoctor.sdk import Cadence, Unavailable, fact, probe
from scaledoctor.sources.host.processes import Processes
from scaledoctor.sources.host.session import PROC, HostSession, text

MOST = 2000
"""Processes looked at: two reads each."""

SECONDS = 0.2
"""For all of them; a process with a million descriptors is worth waiting for, many are not."""

KEPT = 20
"""Processes kept: those nearest to their limit."""

_LIMIT = re.compile(r"^Max open files +(\d+|unlimited)", re.M)


@dataclass(frozen=True, slots=True)
class FileUse:
    """One process: descriptors open, and its own (soft) limit."""

    pid: int
    label: str
    used: int
    limit: int


@fact
@dataclass(frozen=True, slots=True)
class OpenFiles:
    """Open files of the system and their limit; the processes nearest to theirs.

    ``seen`` processes were looked at, None where no process is told of; ``hidden`` ones were not:
    their descriptors are not ours to see, or there was no time for them.
    """

    used: int
    limit: int
    processes: tuple[FileUse, ...] = ()
    seen: int | None = None
    hidden: int = 0


@probe(cost="1 folder and 1 small file per process, once", cadence=Cadence.LAST)
async def open_files(host: HostSession, processes: Processes) -> OpenFiles:
    """Read /proc/sys/fs/file-nr and count /proc/PID/fd against /proc/PID/limits."""
    system = (text(PROC / "sys" / "fs" / "file-nr") or "").split()
    if len(system) != 3:
        raise Unavailable("/proc/sys/fs/file-nr cannot be read")
    end, seen = monotonic() + SECONDS, 0
    hidden = max(0, len(processes.processes) - MOST)
    found: list[FileUse] = []
    for process in processes.processes[:MOST]:
        try:
            used = _used(process.pid) if monotonic() < end else None
        except FileNotFoundError:
            continue  # it has gone
        limit = _LIMIT.search(text(f"{PROC}/{process.pid}/limits") or "")
        seen, hidden = (seen, hidden + 1) if used is None else (seen + 1, hidden)
        if used and limit and limit[1].isdigit():
            found.append(FileUse(process.pid, process.label, used, int(limit[1])))
    found.sort(key=lambda use: -use.used / max(1, use.limit))
    return OpenFiles(int(system[0]), int(system[2]), tuple(found[:KEPT]), seen, hidden)


def _used(pid: int) -> int | None:
    """How many descriptors are open, None when that is not ours to see.

    Since Linux 6.2 it is the folder's size, which all may see; before that it has none.

    Raises:
        FileNotFoundError: there is no such process any more.

    """
    folder = f"{PROC}/{pid}/fd"
    try:
        return os.stat(folder).st_size or len(os.listdir(folder))
    except PermissionError:
        return None
