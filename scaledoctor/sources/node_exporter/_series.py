"""The series of one machine at one moment, and how to look them up."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from scaledoctor.errors import Unavailable
from scaledoctor.sources._metrics import Sample

WANTED = (
    "node_uname_info",
    "node_boot_time_seconds",
    "node_cpu_seconds_total",
    "node_procs_running",
    "node_procs_blocked",
    "node_pressure_cpu_waiting_seconds_total",
    "node_pressure_io_waiting_seconds_total",
    "node_pressure_io_stalled_seconds_total",
    "node_pressure_memory_waiting_seconds_total",
    "node_pressure_memory_stalled_seconds_total",
    "node_memory_MemTotal_bytes",
    "node_memory_MemAvailable_bytes",
    "node_memory_MemFree_bytes",
    "node_memory_SwapTotal_bytes",
    "node_memory_SwapFree_bytes",
    "node_vmstat_pswpin",
    "node_vmstat_pswpout",
    "node_vmstat_pgmajfault",
    "node_vmstat_oom_kill",
    "node_disk_reads_completed_total",
    "node_disk_writes_completed_total",
    "node_disk_read_time_seconds_total",
    "node_disk_write_time_seconds_total",
    "node_disk_io_time_seconds_total",
    "node_disk_io_time_weighted_seconds_total",
    "node_disk_flush_requests_time_seconds_total",
    "node_filesystem_size_bytes",
    "node_filesystem_free_bytes",
    "node_filesystem_avail_bytes",
    "node_filesystem_files",
    "node_filesystem_files_free",
    "node_filesystem_readonly",
    "node_netstat_Tcp_OutSegs",
    "node_netstat_Tcp_RetransSegs",
    "node_netstat_TcpExt_ListenOverflows",
    "node_network_receive_packets_total",
    "node_network_transmit_packets_total",
    "node_network_receive_drop_total",
    "node_network_transmit_drop_total",
    "node_network_receive_errs_total",
    "node_network_transmit_errs_total",
    "node_softnet_dropped_total",
    "node_nf_conntrack_entries",
    "node_nf_conntrack_entries_limit",
    "node_sockstat_TCP_tw",
    "node_filefd_allocated",
    "node_filefd_maximum",
)
"""All that facts are made of; names of node_exporter 0.16 and later."""


@dataclass(frozen=True, slots=True)
class Series:
    """Samples by metric."""

    by_name: Mapping[str, tuple[Sample, ...]]

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> "Series":
        """Sort samples by their metric."""
        found: dict[str, list[Sample]] = {}
        for sample in samples:
            found.setdefault(sample.name, []).append(sample)
        return cls({name: tuple(several) for name, several in found.items()})

    def all(self, name: str) -> tuple[Sample, ...]:
        """Every sample of a metric."""
        return self.by_name.get(name, ())

    def one(self, name: str, default: float | None = None) -> float:
        """The value of a metric without labels.

        Raises:
            Unavailable: it is not there, and there is no default.

        """
        found = self.all(name)
        if found:
            return found[0].value
        if default is None:
            collector = name.split("_")[1].replace("memory", "meminfo")
            raise Unavailable(
                f"node_exporter does not tell {name}",
                f"it runs without its collector: remove --no-collector.{collector}",
            )
        return default

    def maybe(self, name: str) -> float | None:
        """The value of a metric without labels, None when it is not there."""
        found = self.all(name)
        return found[0].value if found else None

    def by(self, label: str, *names: str) -> Mapping[str, float]:
        """The sum of some metrics by one label."""
        found: dict[str, float] = {}
        for sample in self._of(names):
            key = sample.labels.get(label, "")
            found[key] = found.get(key, 0.0) + sample.value
        return found

    def label(self, name: str, label: str) -> str:
        """A label's text of the only sample of a metric."""
        found = self.all(name)
        return found[0].labels.get(label, "") if found else ""

    def _of(self, names: Iterable[str]) -> Iterator[Sample]:
        return (sample for name in names for sample in self.all(name))
