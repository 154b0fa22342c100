"""The network: lost on the way, lost at the door, tables that are full."""

from collections.abc import Iterator

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Kind,
    Severity,
    Step,
    Use,
    Window,
    check,
    resource,
)
from scaledoctor.sources.host import Interface, Network


@resource("host.conntrack", step=Step.SCALE_OUT)
def conntrack(now: Network, /, *, warn: float = 0.75, critical: float = 0.95) -> Use | None:
    """Entries of the kernel's table of connections; when it is full, packets are lost.

    How measured: nf_conntrack_count against nf_conntrack_max; nothing where none is tracked.

    Thresholds: busy from ``warn`` (node-mixin), saturated from ``critical`` (Netdata).
    """
    if not now.tracked or not now.tracked_limit:
        return None
    return Use(
        used=float(now.tracked),
        limit=float(now.tracked_limit),
        unit="entries",
        warn=warn,
        critical=critical,
    )


@check("host.conntrack-full", step=Step.SCALE_OUT)
def conntrack_full(
    now: Network, /, *, warn: float = 0.8, critical: float = 0.95
) -> Iterator[Finding]:
    """The table of tracked connections is nearly full; then packets are dropped.

    Why: a full table drops the first packet of new connections, which nobody logs but the kernel.

    How measured: nf_conntrack_count against nf_conntrack_max. Medium from ``warn``
    (awesome-prometheus-alerts), critical from ``critical`` (Netdata).

    Fix: keep connections open, which saves entries; then a larger table.

    When to ignore: never at the critical threshold.

    References: kernel documentation, "Netfilter Sysfs variables".
    """
    if now.tracked is None or not now.tracked_limit:
        return
    share = now.tracked / now.tracked_limit
    if share < warn:
        return
    live = share >= critical
    yield Finding(
        subject="nf_conntrack",
        summary=(
            f"{now.tracked:,} of {now.tracked_limit:,} entries of connection tracking are taken"
        ),
        severity=Severity.CRITICAL if live else Severity.MEDIUM,
        evidence=(
            Evidence("entries taken", share, "share", warn, "nf_conntrack_count"),
            Evidence("closed, not yet forgotten", float(now.time_wait), "connections"),
        ),
        fixes=(
            Fix(
                "Twice the table, until connections are pooled",
                (f"sysctl -w net.netfilter.nf_conntrack_max={2 * now.tracked_limit}",),
                language="shell",
                risk="about 320 bytes of kernel memory per entry",
                verify="sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max",
                undo=f"sysctl -w net.netfilter.nf_conntrack_max={now.tracked_limit}",
            ),
        ),
        explains={"host.conntrack": 1.0},
        kind=Kind.LIVE if live else Kind.RISK,
    )


@check("host.retransmissions", step=Step.SCALE_OUT)
def retransmissions(
    window: Window[Network], /, *, warn: float = 0.01, high: float = 0.05, segments: int = 1000
) -> Iterator[Finding]:
    """TCP sends a part of its segments again: packets are lost on the way.

    Why: each lost segment costs its request a timeout of 200 ms or more.

    How measured: RetransSegs over OutSegs of /proc/net/snmp in the window, of ``segments`` at
    least. Medium from ``warn``, high from ``high``; our own choice, no peer has a ratio. A healthy
    network in a data centre is below 0.1 %.

    Fix: find the link: an interface with drops, a peer at its limit, a refused accept queue.

    When to ignore: clients on mobile networks lose that much by nature.

    References: RFC 6298; tcp(7).
    """
    sent, resent = window.delta(lambda n: n.sent), window.delta(lambda n: n.resent)
    if sent is None or resent is None or sent < segments or resent / sent < warn:
        return
    share = resent / sent
    yield Finding(
        subject="TCP",
        summary=f"{share:.1%} of the {sent:,.0f} TCP segments were sent again",
        severity=Severity.HIGH if share >= high else Severity.MEDIUM,
        confidence=Confidence.MEDIUM,
        evidence=(
            Evidence("sent again", share, "share", warn, "/proc/net/snmp"),
            Evidence("segments", sent, "segments", float(segments), "/proc/net/snmp"),
        ),
        fixes=(
            Fix(
                "See to whom they are lost",
                ("ss -tin state established | grep -B1 retrans: | head -40", "ip -s link"),
                language="shell",
                risk="none",
                verify="nstat -az TcpRetransSegs TcpOutSegs: below 1 %",
                undo="none needed",
            ),
        ),
        impact=min(1.0, share),
    )


@check("host.packet-drops", step=Step.SCALE_OUT)
def packet_drops(
    window: Window[Network],
    /,
    *,
    share: float = 0.001,
    count: int = 100,
    errors: float = 0.01,
    backlog: int = 100,
) -> Iterator[Finding]:
    """An interface or the kernel drops packets.

    Why: what is dropped is sent again, after a timeout.

    How measured: in the window, per interface, more than ``count`` dropped and ``share`` of all
    packets, or as many broken and ``errors`` of all (1 % as node-mixin and
    awesome-prometheus-alerts); or ``backlog`` packets that no core took in time (softnet).

    Fix: a larger ring, the interrupts on more cores, or a second instance.

    When to ignore: an interface that carries nothing of the service; multicast that nobody wants.

    References: kernel documentation, "Interface statistics" and "Scaling in the Linux Networking
    Stack".
    """
    before = {i.name: i for i in window.first.interfaces}
    for now in window.last.interfaces:
        first = before.get(now.name)
        if first is None or now.packets <= first.packets:
            continue
        packets, lost = now.packets - first.packets, now.dropped - first.dropped
        broken = now.errors - first.errors
        if (lost > count and lost > share * packets) or (
            broken > count and broken > errors * packets
        ):
            yield _drops(now, packets, lost, broken, share, errors)
    unread = window.delta(lambda n: n.backlog_drops) or 0.0
    if unread >= backlog:
        yield Finding(
            subject="softnet",
            summary=f"{unread:,.0f} packets were dropped because no core took them in time",
            severity=Severity.MEDIUM,
            evidence=(
                Evidence("dropped", unread, "packets", float(backlog), "/proc/net/softnet_stat"),
            ),
            fixes=(
                Fix(
                    "A longer queue per core, and packets spread over cores",
                    ("sysctl -w net.core.netdev_max_backlog=10000",),
                    language="shell",
                    risk="packets wait longer instead of being dropped",
                    verify="scaledoctor scan again",
                    undo="sysctl -w net.core.netdev_max_backlog=1000",
                ),
            ),
            impact=0.05,  # what it delays is not seen here
        )


def _drops(
    now: Interface, packets: int, lost: int, broken: int, share: float, errors: float
) -> Finding:
    return Finding(
        subject=now.name,
        summary=f"{now.name} dropped {lost:,} and broke {broken:,} of {packets:,} packets",
        severity=Severity.MEDIUM,
        evidence=(
            Evidence("dropped", lost / packets, "share", share, "/proc/net/dev"),
            Evidence("broken", broken / packets, "share", errors, "/proc/net/dev"),
        ),
        fixes=(
            Fix(
                "See what it counts, then enlarge its ring",
                (f"ethtool -S {now.name} | grep -iE 'drop|err|miss'", f"ethtool -g {now.name}"),
                language="shell",
                risk="none; setting the ring (ethtool -G) stops the link for a moment",
                verify=f"ip -s link show {now.name}",
                undo="none needed",
            ),
        ),
        impact=min(1.0, (lost + broken) / packets),
    )
