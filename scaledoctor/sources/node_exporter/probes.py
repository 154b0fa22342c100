"""The host's facts of another machine, and those that only the machine itself can tell."""

from scaledoctor.sdk import Cadence, Unavailable, probe
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
from scaledoctor.sources.node_exporter.session import NodeSession

COST = "1 page for all facts of a moment, 60 kB and 10 ms of that machine's CPU"
HIDDEN = "node_exporter tells nothing of processes, their groups and sockets"
ENABLE = "run scaledoctor on that machine, too"


@probe(cost=COST)
async def host_info(node: NodeSession) -> HostInfo:
    """How large the machine is."""
    return _machine.info(await node.now(), node.machine)


@probe(cost=COST, cadence=Cadence.SAMPLED, every=2.0)
async def cpu_times(node: NodeSession) -> CpuTimes:
    """CPU time, run queue and pressure."""
    return _machine.cpu_times(await node.now())


@probe(cost=COST, cadence=Cadence.EDGES)
async def memory(node: NodeSession) -> Memory:
    """What is available, swapped, killed."""
    return _machine.memory(await node.now())


@probe(cost=COST, cadence=Cadence.EDGES)
async def disks(node: NodeSession) -> Disks:
    """Devices and file systems."""
    return _machine.disks(await node.now(), node.redactor)


@probe(cost=COST, cadence=Cadence.EDGES)
async def network(node: NodeSession) -> Network:
    """Segments, interfaces, connection tracking."""
    return _machine.network(await node.now())


@probe(cost=COST, cadence=Cadence.LAST)
async def open_files(node: NodeSession) -> OpenFiles:
    """Open files of the whole system."""
    return _machine.open_files(await node.now())


@probe(cost="none")
async def processes(node: NodeSession) -> Processes:
    """Nothing: say so."""
    raise Unavailable(HIDDEN, ENABLE)


@probe(cost="none")
async def cgroups(node: NodeSession) -> Cgroups:
    """Nothing: say so."""
    raise Unavailable(HIDDEN, ENABLE)


@probe(cost="none")
async def process_io(node: NodeSession) -> ProcessIo:
    """Nothing: say so."""
    raise Unavailable(HIDDEN, ENABLE)


@probe(cost="none")
async def listeners(node: NodeSession) -> Listeners:
    """Nothing: say so."""
    raise Unavailable(HIDDEN, ENABLE)


@probe(cost="none")
async def ports(node: NodeSession) -> Ports:
    """Nothing: say so."""
    raise Unavailable(HIDDEN, ENABLE)
