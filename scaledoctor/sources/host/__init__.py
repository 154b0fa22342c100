"""This host: CPU, processes, memory, disks, network and control groups, from /proc and /sys."""

from scaledoctor.sources.host.cgroups import Cgroup, Cgroups, MemoryGroup
from scaledoctor.sources.host.cpu import CpuTimes, Pressure
from scaledoctor.sources.host.disks import Device, Disks, Mount
from scaledoctor.sources.host.files import FileUse, OpenFiles
from scaledoctor.sources.host.info import HostInfo
from scaledoctor.sources.host.listeners import Listener, Listeners
from scaledoctor.sources.host.memory import Memory
from scaledoctor.sources.host.network import Interface, Network
from scaledoctor.sources.host.ports import Destination, Ports
from scaledoctor.sources.host.process_io import IoUse, ProcessIo
from scaledoctor.sources.host.processes import Process, Processes, cores_by_label
from scaledoctor.sources.host.titles import Backend, PostgresTitles

__all__ = [
    "Backend",
    "Cgroup",
    "Cgroups",
    "CpuTimes",
    "Destination",
    "Device",
    "Disks",
    "FileUse",
    "HostInfo",
    "Interface",
    "IoUse",
    "Listener",
    "Listeners",
    "Memory",
    "MemoryGroup",
    "Mount",
    "Network",
    "OpenFiles",
    "Ports",
    "PostgresTitles",
    "Pressure",
    "Process",
    "ProcessIo",
    "Processes",
    "cores_by_label",
]
