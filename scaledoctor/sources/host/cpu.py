"""CPU time by core, run queue and pressure, twice a second."""

import os
from dataclasses import dataclass

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.host.session import PROC, HostSession, required, text


@dataclass(frozen=True, slots=True)
class Pressure:
    """Seconds since boot in which some or all tasks stalled for want of a resource (PSI).

    ``some10`` and ``some60`` are the kernel's own means of the last 10 and 60 s as shares (0..1),
    ``full10`` and ``full60`` the same for all tasks: history from before the scan.
    """

    some: float
    full: float
    some10: float = 0.0
    some60: float = 0.0
    full10: float = 0.0
    full60: float = 0.0


@fact
@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds since boot by use, of the cores that we may run on; ``cores`` is busy time of each.

    ``running`` and ``blocked`` are gauges of tasks, ours not counted. Pressure is None where the
    kernel does not tell.
    """

    busy: float
    iowait: float
    steal: float
    idle: float
    cores: tuple[float, ...]
    running: int
    blocked: int
    cpu_pressure: Pressure | None
    io_pressure: Pressure | None
    memory_pressure: Pressure | None


@probe(cost="4 small files, twice a second", cadence=Cadence.SAMPLED)
async def cpu_times(host: HostSession) -> CpuTimes:
    """Read /proc/stat and /proc/pressure.

    Busy is user, nice, system and interrupts (fields 1 to 3, 6 and 7 of proc(5)); guests are
    inside user.
    """
    tick = os.sysconf("SC_CLK_TCK")
    rows = (row.split() for row in required(PROC / "stat").splitlines())
    named = {row[0]: row[1:] for row in rows if row}
    mine = [named[f"cpu{n}"] for n in sorted(os.sched_getaffinity(0)) if f"cpu{n}" in named]
    cores = [[int(value) / tick for value in values[:8]] for values in mine or [named["cpu"]]]
    return CpuTimes(
        busy=sum(_busy(core) for core in cores),
        iowait=sum(core[4] for core in cores),
        steal=sum(core[7] for core in cores),
        idle=sum(core[3] for core in cores),
        cores=tuple(_busy(core) for core in cores),
        running=max(0, int(named["procs_running"][0]) - 1),
        blocked=int(named["procs_blocked"][0]),
        cpu_pressure=_pressure("cpu"),
        io_pressure=_pressure("io"),
        memory_pressure=_pressure("memory"),
    )


def _busy(core: list[float]) -> float:
    user, nice, system, _, _, interrupts, soft, _ = core
    return user + nice + system + interrupts + soft


def _pressure(resource: str) -> Pressure | None:
    found = text(PROC / "pressure" / resource)
    if not found:
        return None
    values: dict[str, float] = {}
    for row in found.splitlines():
        which, *pairs = row.split()
        for pair in pairs:
            name, _, value = pair.partition("=")
            values[which + name.removeprefix("avg")] = float(value)
    return Pressure(
        some=values.get("sometotal", 0.0) / 1e6,
        full=values.get("fulltotal", 0.0) / 1e6,
        some10=values.get("some10", 0.0) / 100,
        some60=values.get("some60", 0.0) / 100,
        full10=values.get("full10", 0.0) / 100,
        full60=values.get("full60", 0.0) / 100,
    )
