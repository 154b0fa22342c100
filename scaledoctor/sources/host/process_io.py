"""Who reads from and writes to the disks: bytes by process, where they are ours to see."""

from collections.abc import Mapping
from dataclasses import dataclass

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.host.processes import Processes
from scaledoctor.sources.host.session import PROC, HostSession, text

MOST = 2000
"""Processes looked at: one small file each."""


@dataclass(frozen=True, slots=True)
class IoUse:
    """One process; counters of bytes since it began that went to and came from a disk."""

    pid: int
    label: str
    read: int
    written: int


@fact
@dataclass(frozen=True, slots=True)
class ProcessIo:
    """All processes whose input and output are ours to see; ``hidden`` others are not."""

    processes: tuple[IoUse, ...]
    hidden: int = 0


@probe(cost="1 small file per process, at both edges", cadence=Cadence.EDGES)
async def process_io(host: HostSession, processes: Processes) -> ProcessIo:
    """Read /proc/PID/io, which only root and the process's own user may."""
    found: list[IoUse] = []
    hidden = max(0, len(processes.processes) - MOST)
    for process in processes.processes[:MOST]:
        counters = _counters(text(f"{PROC}/{process.pid}/io") or "")
        if "write_bytes" not in counters:
            hidden += 1
        elif not process.own:
            read, written = counters["read_bytes"], counters["write_bytes"]
            found.append(IoUse(process.pid, process.label, read, written))
    return ProcessIo(tuple(found), hidden)


def _counters(table: str) -> Mapping[str, int]:
    rows = (row.partition(": ") for row in table.splitlines())
    return {name: int(value) for name, _, value in rows}
