"""Memory: what is available, and whether the machine swaps or kills."""

from dataclasses import dataclass

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.host.session import PROC, HostSession, required


@fact
@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes now, and counters since boot: pages swapped, major faults, kills for want of memory.

    ``swapped_pages`` is ``swapped_in`` and ``swapped_out`` together. ``oom_kills`` counts those
    inside control groups too.
    """

    total: int
    available: int
    swap_used: int
    swapped_pages: int
    major_faults: int
    oom_kills: int
    swap_total: int = 0
    swapped_in: int = 0
    swapped_out: int = 0


@probe(cost="2 small files, at both edges", cadence=Cadence.EDGES)
async def memory(host: HostSession) -> Memory:
    """Read /proc/meminfo and /proc/vmstat."""
    sizes = {
        name: int(rest.split()[0]) * 1024
        for name, _, rest in (r.partition(":") for r in required(PROC / "meminfo").splitlines())
    }
    counters = dict(row.split() for row in required(PROC / "vmstat").splitlines())
    swapped_in, swapped_out = int(counters.get("pswpin", 0)), int(counters.get("pswpout", 0))
    return Memory(
        total=sizes["MemTotal"],
        available=sizes.get("MemAvailable", sizes["MemFree"]),
        swap_used=sizes["SwapTotal"] - sizes["SwapFree"],
        swapped_pages=swapped_in + swapped_out,
        major_faults=int(counters.get("pgmajfault", 0)),
        oom_kills=int(counters.get("oom_kill", 0)),
        swap_total=sizes["SwapTotal"],
        swapped_in=swapped_in,
        swapped_out=swapped_out,
    )
