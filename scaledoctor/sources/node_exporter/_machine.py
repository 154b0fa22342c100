"""Facts of a machine from its series: one place for a live exporter and for its history."""

import re
from collections.abc import Iterator

from scaledoctor.errors import Unavailable
from scaledoctor.redact import Redactor
from scaledoctor.sources.host.cpu import CpuTimes, Pressure
from scaledoctor.sources.host.disks import REAL, Device, Disks, Mount
from scaledoctor.sources.host.files import OpenFiles
from scaledoctor.sources.host.info import HostInfo
from scaledoctor.sources.host.memory import Memory
from scaledoctor.sources.host.network import Interface, Network
from scaledoctor.sources.node_exporter._series import Series

BUSY = ("user", "nice", "system", "irq", "softirq")
"""As in /proc/stat: guests are inside user."""

_VIRTUAL = re.compile(r"(dm-|md|loop|zram|ram|sr|fd)\d+$|nbd\d+$")
"""Devices on top of others, or none at all; the host's own source leaves them out, too."""


def info(series: Series, machine: str) -> HostInfo:
    """How large it is; every core is usable, for quotas and cpusets are not told."""
    cores = len(series.by("cpu", "node_cpu_seconds_total"))
    if not cores:
        raise Unavailable("node_exporter does not tell its cores", "enable its collector cpu")
    booted = series.maybe("node_boot_time_seconds")
    return HostInfo(
        cores=cores,
        memory=int(series.one("node_memory_MemTotal_bytes")),
        container=False,
        logical=cores,
        kernel=series.label("node_uname_info", "release"),
        booted=booted,
        machine=machine,
    )


def cpu_times(series: Series) -> CpuTimes:
    """Seconds by use; the exporter itself runs while it is asked and is not counted."""
    seconds = series.all("node_cpu_seconds_total")
    if not seconds:
        raise Unavailable("node_exporter does not tell CPU time", "enable its collector cpu")
    modes: dict[str, float] = {}
    cores: dict[int, float] = {}
    for sample in seconds:
        mode, core = sample.labels.get("mode", ""), int(sample.labels.get("cpu", "0"))
        modes[mode] = modes.get(mode, 0.0) + sample.value
        cores[core] = cores.get(core, 0.0) + (sample.value if mode in BUSY else 0.0)
    return CpuTimes(
        busy=sum(modes.get(mode, 0.0) for mode in BUSY),
        iowait=modes.get("iowait", 0.0),
        steal=modes.get("steal", 0.0),
        idle=modes.get("idle", 0.0),
        cores=tuple(cores[core] for core in sorted(cores)),
        running=max(0, int(series.one("node_procs_running")) - 1),
        blocked=int(series.one("node_procs_blocked")),
        cpu_pressure=_pressure(series, "cpu"),
        io_pressure=_pressure(series, "io"),
        memory_pressure=_pressure(series, "memory"),
    )


def _pressure(series: Series, resource: str) -> Pressure | None:
    """None where the kernel has no PSI; of the CPU all tasks never stall."""
    some = series.maybe(f"node_pressure_{resource}_waiting_seconds_total")
    full = series.one(f"node_pressure_{resource}_stalled_seconds_total", 0.0)
    return None if some is None else Pressure(some, full)


def memory(series: Series) -> Memory:
    """Bytes now, and counters since boot."""
    swap = series.one("node_memory_SwapTotal_bytes", 0.0)
    swapped_in = int(series.one("node_vmstat_pswpin", 0.0))
    swapped_out = int(series.one("node_vmstat_pswpout", 0.0))
    available = series.maybe("node_memory_MemAvailable_bytes")
    if available is None:
        available = series.one("node_memory_MemFree_bytes")
    return Memory(
        total=int(series.one("node_memory_MemTotal_bytes")),
        available=int(available),
        swap_used=int(swap - series.one("node_memory_SwapFree_bytes", 0.0)),
        swapped_pages=swapped_in + swapped_out,
        major_faults=int(series.one("node_vmstat_pgmajfault", 0.0)),
        oom_kills=int(series.one("node_vmstat_oom_kill", 0.0)),
        swap_total=int(swap),
        swapped_in=swapped_in,
        swapped_out=swapped_out,
    )


def disks(series: Series, redactor: Redactor) -> Disks:
    """Physical devices, and file systems that hold data."""
    read = series.by("device", "node_disk_reads_completed_total")
    written = series.by("device", "node_disk_writes_completed_total")
    waited = series.by(
        "device", "node_disk_read_time_seconds_total", "node_disk_write_time_seconds_total"
    )
    busy = series.by("device", "node_disk_io_time_seconds_total")
    queued = series.by("device", "node_disk_io_time_weighted_seconds_total")
    flushing = series.by("device", "node_disk_flush_requests_time_seconds_total")
    devices = tuple(
        Device(
            name=name,
            requests=int(reads + written.get(name, 0.0)),
            waited=waited.get(name, 0.0),
            busy=busy.get(name, 0.0),
            queued=queued.get(name, 0.0),
            reads=int(reads),
            writes=int(written.get(name, 0.0)),
            flushing=flushing.get(name, 0.0),
        )
        for name, reads in sorted(read.items())
        if not _VIRTUAL.match(name)
    )
    return Disks(devices, tuple(_mounts(series, redactor)))


def _mounts(series: Series, redactor: Redactor) -> Iterator[Mount]:
    """One folder per device, the first by name, as the host's own source has it."""
    free = series.by("mountpoint", "node_filesystem_free_bytes")
    available = series.by("mountpoint", "node_filesystem_avail_bytes")
    inodes = series.by("mountpoint", "node_filesystem_files")
    inodes_free = series.by("mountpoint", "node_filesystem_files_free")
    read_only = series.by("mountpoint", "node_filesystem_readonly")
    seen: set[str] = set()
    sizes = series.all("node_filesystem_size_bytes")
    for sample in sorted(sizes, key=lambda s: s.labels.get("mountpoint", "")):
        path, device = sample.labels.get("mountpoint", ""), sample.labels.get("device", "")
        real = sample.labels.get("fstype") in REAL and not read_only.get(path)
        if real and device not in seen and path in available:
            seen.add(device)
            yield Mount(
                path=redactor.text(path),
                total=int(sample.value),
                available=int(available[path]),
                inodes=int(inodes.get(path, 0.0)),
                inodes_free=int(inodes_free.get(path, 0.0)),
                used=int(sample.value - free.get(path, 0.0)),
            )


def network(series: Series) -> Network:
    """Counters of TCP and of each interface."""
    packets, dropped, errors = (
        series.by(
            "device", f"node_network_receive_{what}_total", f"node_network_transmit_{what}_total"
        )
        for what in ("packets", "drop", "errs")
    )
    tracked = series.maybe("node_nf_conntrack_entries")
    limit = series.maybe("node_nf_conntrack_entries_limit")
    return Network(
        sent=int(series.one("node_netstat_Tcp_OutSegs")),
        resent=int(series.one("node_netstat_Tcp_RetransSegs")),
        overflows=int(series.one("node_netstat_TcpExt_ListenOverflows", 0.0)),
        interfaces=tuple(
            Interface(name, int(n), int(dropped.get(name, 0)), int(errors.get(name, 0)))
            for name, n in sorted(packets.items())
            if name != "lo"
        ),
        backlog_drops=int(sum(series.by("cpu", "node_softnet_dropped_total").values())),
        tracked=None if tracked is None else int(tracked),
        tracked_limit=None if limit is None else int(limit),
        time_wait=int(series.one("node_sockstat_TCP_tw", 0.0)),
    )


def open_files(series: Series) -> OpenFiles:
    """Of the whole system; which process has them is not told."""
    return OpenFiles(
        used=int(series.one("node_filefd_allocated")),
        limit=int(series.one("node_filefd_maximum")),
    )
