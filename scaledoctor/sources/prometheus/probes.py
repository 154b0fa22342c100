"""The host's facts of the last minutes: a history in place of our own window."""

from collections.abc import Callable
from typing import TypeVar

from scaledoctor.sdk import Cadence, Unavailable, Window, probe
from scaledoctor.sources.host import (
    Cgroups,
    CpuTimes,
    Disks,
    HostInfo,
    Listeners,
    Memory,
    Network,
    OpenFiles,
    Ports,
    Processes,
    ProcessIo,
)
from scaledoctor.sources.node_exporter import _machine
from scaledoctor.sources.node_exporter._series import Series
from scaledoctor.sources.node_exporter.probes import ENABLE, HIDDEN
from scaledoctor.sources.prometheus.session import PrometheusSession

T = TypeVar("T")

COST = "1 query of the last minutes for all facts"


async def _past(past: PrometheusSession, read: Callable[[Series], T]) -> Window[T]:
    """Every moment at which the fact can be told; the reason of the last one when none can."""
    found: list[tuple[float, T]] = []
    why = Unavailable("Prometheus has nothing of this machine")
    for at, series in await past.past():
        try:
            found.append((at, read(series)))
        except Unavailable as no:
            why = no
    if not found:
        raise why
    return Window(tuple(found))


@probe(cost=COST, cadence=Cadence.LAST)
async def host_info(past: PrometheusSession) -> Window[HostInfo]:
    """How large the machine is."""
    return await _past(past, lambda series: _machine.info(series, past.machine))


@probe(cost=COST, cadence=Cadence.LAST)
async def cpu_times(past: PrometheusSession) -> Window[CpuTimes]:
    """CPU time, run queue and pressure."""
    return await _past(past, _machine.cpu_times)


@probe(cost=COST, cadence=Cadence.LAST)
async def memory(past: PrometheusSession) -> Window[Memory]:
    """What is available, swapped, killed."""
    return await _past(past, _machine.memory)


@probe(cost=COST, cadence=Cadence.LAST)
async def disks(past: PrometheusSession) -> Window[Disks]:
    """Devices and file systems."""
    return await _past(past, lambda series: _machine.disks(series, past.redactor))


@probe(cost=COST, cadence=Cadence.LAST)
async def network(past: PrometheusSession) -> Window[Network]:
    """Segments, interfaces, connection tracking."""
    return await _past(past, _machine.network)


@probe(cost=COST, cadence=Cadence.LAST)
async def open_files(past: PrometheusSession) -> Window[OpenFiles]:
    """Open files of the whole system."""
    return await _past(past, _machine.open_files)


@probe(cost="none")
async def processes(past: PrometheusSession) -> Processes:
    """Nothing: say so."""
    raise Unavailable(HIDDEN, ENABLE)


@probe(cost="none")
async def cgroups(past: PrometheusSession) -> Cgroups:
    """Nothing: say so."""
    raise Unavailable(HIDDEN, ENABLE)


@probe(cost="none")
async def process_io(past: PrometheusSession) -> ProcessIo:
    """Nothing: say so."""
    raise Unavailable(HIDDEN, ENABLE)


@probe(cost="none")
async def listeners(past: PrometheusSession) -> Listeners:
    """Nothing: say so."""
    raise Unavailable(HIDDEN, ENABLE)


@probe(cost="none")
async def ports(past: PrometheusSession) -> Ports:
    """Nothing: say so."""
    raise Unavailable(HIDDEN, ENABLE)
