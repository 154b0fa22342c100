"""Ports: used up by connections that are not kept, or taken from a service by chance."""

from collections.abc import Iterator

from scaledoctor.sdk import (
    Evidence,
    Finding,
    Fix,
    Kind,
    Severity,
    Step,
    Use,
    check,
    resource,
)
from scaledoctor.sources.host import Destination, Ports, Processes
from scaledoctor_checks.host._groups import SERVICE, members

SOURCE = "sock_diag(7), ip_local_port_range"


@resource("host.ephemeral-ports", step=Step.POOL)
def ephemeral_ports(now: Ports, /, *, warn: float = 0.6, critical: float = 0.8) -> Use | None:
    """Ports taken by connections to the one destination that has most of them.

    How measured: connections in use, begun or in TIME_WAIT to one address and port, against the
    range that outgoing connections take their ports from: each destination has it to itself.

    Thresholds: busy from ``warn``, saturated from ``critical``: from there on the kernel searches
    long for a free one. Our own choice.
    """
    if not now.destinations:
        return None
    most = max(now.destinations, key=_taken)
    return Use(
        used=float(_taken(most)),
        limit=float(now.size),
        unit="ports",
        warn=warn,
        critical=critical,
        detail=f"to {most.peer}:{most.port}, {most.waiting} of them in TIME_WAIT",
    )


@check("host.ports-exhausted", step=Step.POOL)
def ports_exhausted(
    now: Ports, /, *, warn: float = 0.6, critical: float = 0.8
) -> Iterator[Finding]:
    """Connections to one destination use up the ports that there are.

    Why: a closed connection keeps its port for a minute; without a free one the next connect
    fails with "Cannot assign requested address".

    How measured: as the resource host.ephemeral-ports: medium from ``warn`` of the range, critical
    from ``critical``. Thousands of connections in TIME_WAIT that are far from the range's size
    are no fault.

    Fix: keep connections to it open, by a pool or keep-alive; then a wider range.

    When to ignore: a load generator.

    References: ip(7), ip_local_port_range; RFC 9293, TIME-WAIT.
    """
    for one in now.destinations:
        share = _taken(one) / now.size
        if share < warn:
            continue
        live = share >= critical
        yield Finding(
            subject=f"{one.peer}:{one.port}",
            summary=(
                f"connections to {one.peer}:{one.port} take {_taken(one):,} of the {now.size:,} "
                f"ports there are; {one.waiting:,} of them are closed already"
            ),
            severity=Severity.CRITICAL if live else Severity.MEDIUM,
            evidence=(
                Evidence("ports taken", share, "share", warn, SOURCE),
                Evidence("in use", float(one.used), "connections", source=SOURCE),
                Evidence("closed, not yet free", float(one.waiting), "connections", source=SOURCE),
            ),
            fixes=_pooled(one, now),
            explains={"host.ephemeral-ports": 1.0},
            impact=share if live else 0.0,
            kind=Kind.LIVE if live else Kind.RISK,
        )


def _taken(one: Destination) -> int:
    return one.used + one.waiting


def _pooled(one: Destination, now: Ports) -> tuple[Fix, ...]:
    return (
        Fix(
            f"Keep connections to {one.peer}:{one.port} open instead of a new one per request",
            (
                "# nginx: upstream { ... keepalive 32; }   HTTP clients: one session, reused",
                "# a database: a pool in the application, or PgBouncer before it",
            ),
            language="text",
            risk="open connections are held at the other end: size the pool to its limit",
            verify=f"ss -tan state time-wait 'dport = :{one.port}' | wc -l: it falls in a minute",
            undo="the old setting",
        ),
        Fix(
            "A wider range, until that is done",
            ("sysctl -w net.ipv4.ip_local_port_range='15000 60999'",),
            language="shell",
            risk="a service that listens from 15000 on must be in ip_local_reserved_ports",
            verify="scaledoctor scan again: host.ephemeral-ports is below 60 %",
            undo=f"sysctl -w net.ipv4.ip_local_port_range='{now.low} {now.high}'",
        ),
    )


@check("host.port-at-risk", step=Step.SCALE_OUT)
def port_at_risk(now: Ports, processes: Processes, /) -> Iterator[Finding]:
    """A service listens on a port that any outgoing connection may take.

    Why: while the service is down for a restart some connection may get its port, and the service
    cannot start: "Address already in use", now and then.

    How measured: listening sockets inside ip_local_port_range and not in ip_local_reserved_ports,
    of databases, poolers, balancers and brokers, or with a connection from a program of the
    service. All others may have taken any free port on purpose and are left out.

    Fix: reserve the port, or move the service below the range.

    When to ignore: a port that the program chose itself, anew at each start.

    References: kernel documentation, ip_local_reserved_ports.
    """
    service = members(processes)
    asked = {port for p in processes.processes if p.pid in service for port in p.peers or ()}
    for port, label in now.inside:
        if not label.startswith(("postgres", *SERVICE)) and (port not in asked or not label):
            continue
        yield Finding(
            subject=f"{label}, port {port}",
            summary=(
                f"{label} listens on port {port}, between {now.low} and {now.high}, where outgoing "
                "connections take theirs: a restart may find it taken"
            ),
            severity=Severity.LOW,
            evidence=(
                Evidence("port", str(port), source="sock_diag(7)"),
                Evidence("range", f"{now.low} to {now.high}", source="ip_local_port_range"),
            ),
            fixes=(
                Fix(
                    "Reserve it",
                    (f"sysctl -w net.ipv4.ip_local_reserved_ports={port}",),
                    language="shell",
                    risk="it replaces what is reserved already: add those ports, by commas",
                    verify="sysctl net.ipv4.ip_local_reserved_ports",
                    undo="sysctl -w net.ipv4.ip_local_reserved_ports=''",
                ),
            ),
            kind=Kind.RISK,
        )
