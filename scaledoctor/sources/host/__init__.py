"""This host: CPU, processes, memory, disks and control groups, from /proc and /sys."""

from scaledoctor.sources.host.cgroups import Cgroup, Cgroups, MemoryGroup
from scaledoctor.sources.host.cpu import CpuTimes, Pressure
from scaledoctor.sources.host.disks import Device, Disks, Mount
from scaledoctor.sources.host.info import HostInfo
from scaledoctor.sources.host.memory import Memory
from scaledoctor.sources.host.processes import Process, Processes, cores_by_label
from scaledoctor.sources.host.titles import Backend, PostgresTitles

__all__ = [
    "Backend",
    "Cgroup",
    "Cgroups",
    "CpuTimes",
    "Device",
    "Disks",
    "HostInfo",
    "Memory",
    "MemoryGroup",
    "Mount",
    "PostgresTitles",
    "Pressure",
    "Process",
    "Processes",
    "cores_by_label",
]
