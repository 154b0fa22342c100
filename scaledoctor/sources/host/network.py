"""The network: segments sent again, packets lost, connections refused at the door, tables full."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.host.session import PROC, HostSession, number, required, text


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface; counters of packets received and sent, and of those lost or broken."""

    name: str
    packets: int
    dropped: int
    errors: int


@fact
@dataclass(frozen=True, slots=True)
class Network:
    """Counters since boot of our network namespace, and gauges now.

    ``sent`` and ``resent`` are TCP segments. ``overflows`` are connections that found the accept
    queue of a listening socket full. ``backlog_drops`` are packets that no core took in time.
    ``tracked`` entries of connection tracking have a limit, both None without it. ``time_wait``
    are closed connections that keep their port for a minute.
    """

    sent: int
    resent: int
    overflows: int
    interfaces: tuple[Interface, ...] = ()
    backlog_drops: int = 0
    tracked: int | None = None
    tracked_limit: int | None = None
    time_wait: int = 0


@probe(cost="7 small files, at both edges", cadence=Cadence.EDGES)
async def network(host: HostSession) -> Network:
    """Read /proc/net/snmp, netstat, dev, softnet_stat, sockstat and the conntrack settings."""
    net = PROC / "self" / "net"
    tcp, extended = _pairs(net / "snmp", "Tcp"), _pairs(net / "netstat", "TcpExt")
    conntrack = PROC / "sys" / "net" / "netfilter"
    softnet = (row.split() for row in (text(net / "softnet_stat") or "").splitlines())
    return Network(
        sent=tcp["OutSegs"],
        resent=tcp["RetransSegs"],
        overflows=extended.get("ListenOverflows", 0),
        interfaces=tuple(_interfaces(required(net / "dev"))),
        backlog_drops=sum(int(row[1], 16) for row in softnet if len(row) > 1),
        tracked=number(conntrack / "nf_conntrack_count"),
        tracked_limit=number(conntrack / "nf_conntrack_max"),
        time_wait=_time_wait(text(net / "sockstat") or ""),
    )


def _pairs(path: Path, group: str) -> Mapping[str, int]:
    """Names and values of one group: two lines that begin with its name."""
    rows = [row.split() for row in required(path).splitlines() if row.startswith(f"{group}:")]
    names, values = rows[0][1:], rows[1][1:]
    return dict(zip(names, map(int, values), strict=False))


def _interfaces(table: str) -> Iterator[Interface]:
    """All but the loopback, which loses nothing."""
    for row in table.splitlines()[2:]:
        name, _, rest = row.partition(":")
        fields = [int(value) for value in rest.split()]
        if name.strip() != "lo" and len(fields) >= 12:
            packets, errors, dropped = (fields[i] + fields[i + 8] for i in (1, 2, 3))
            yield Interface(name.strip(), packets, dropped, errors)


def _time_wait(sockstat: str) -> int:
    """The value behind "tw" in the line of TCP."""
    row = next((r.split() for r in sockstat.splitlines() if r.startswith("TCP:")), [])
    return int(row[row.index("tw") + 1]) if "tw" in row else 0
