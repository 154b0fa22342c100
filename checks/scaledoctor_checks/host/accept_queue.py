"""Accept queues: connections that no program takes."""

from collections.abc import Iterator
from dataclasses import dataclass

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Severity, Step, Window, check
from scaledoctor.sources.host import Listener, Listeners, Network

SOURCE = "sock_diag(7), as ss -ltn"
LOW_BACKLOG = 128
"""Below what every server of today asks for."""


@dataclass(frozen=True, slots=True)
class _Door:
    """One listening socket over the window: its last state, and the share of looks it was full."""

    last: Listener
    full: float

    @property
    def name(self) -> str:
        return f"{self.last.label or 'a hidden process'}, port {self.last.port}"


@check("host.accept-queue", step=Step.SCALE_OUT)
def accept_queue(
    window: Window[Listeners] | None,
    network: Window[Network],
    /,
    *,
    full: float = 0.5,
    rate: float = 1.0,
    critical: float = 5.0,
) -> Iterator[Finding]:
    """A program does not take its connections; new ones are dropped at the door.

    Why: the kernel has made the connection and the client believes that it is served; when the
    queue is full it drops the next ones, and those clients try again after one second.

    How measured: the queue of each listening socket against its backlog, once a second; full in
    ``full`` of the looks. ListenOverflows of /proc/net/netstat above ``rate`` per second confirms
    it, from ``critical`` on it is critical (Netdata's two thresholds); where no socket was seen
    full, the overflows alone are told.

    Fix: more workers or instances, because those that are there are all busy; a longer backlog
    where it is small.

    When to ignore: a single burst of connections at a restart.

    References: listen(2); tcp(7); kernel documentation, net.core.somaxconn.
    """
    lost = network.rate(lambda n: n.overflows) or 0.0
    doors = [d for d in _doors(window) if d.full >= full] if window and len(window) > 1 else []
    for door in doors:
        yield _finding(door, lost, full, rate, critical)
    if not doors and lost >= rate:
        yield Finding(
            subject="a listening socket",
            summary=f"{lost:.1f} connections per second found an accept queue full",
            severity=Severity.HIGH if lost >= critical else Severity.MEDIUM,
            confidence=Confidence.MEDIUM,
            evidence=(
                Evidence("dropped at the door", lost, "per second", rate, "/proc/net/netstat"),
            ),
            fixes=(_look(),),
            impact=0.1,  # whose clients they were is not seen
        )


def _doors(window: Window[Listeners]) -> Iterator[_Door]:
    seen: dict[tuple[str, int], list[Listener]] = {}
    for now in window:
        for one in now.waiting:
            seen.setdefault((one.address, one.port), []).append(one)
    for several in seen.values():
        named = [one for one in several if one.label]
        yield _Door((named or several)[-1], sum(one.full for one in several) / len(window))


def _finding(door: _Door, lost: float, full: float, rate: float, critical: float) -> Finding:
    one = door.last
    return Finding(
        subject=door.name,
        summary=(
            f"{one.queue} connections wait for {one.label or 'a program'} on port {one.port}, "
            f"which has room for {one.backlog}: it does not take them"
        ),
        severity=Severity.CRITICAL if lost >= critical else Severity.HIGH,
        evidence=(
            Evidence("looks that found its queue full", door.full, "share", full, SOURCE),
            Evidence("waiting", float(one.queue), "connections", float(one.backlog), SOURCE),
            Evidence("dropped at the door, all sockets", lost, "per second", rate,
                     "/proc/net/netstat"),
        ),
        fixes=tuple(_fixes(one)),
        impact=door.full,
    )  # fmt: skip


def _fixes(one: Listener) -> Iterator[Fix]:
    yield Fix(
        f"More workers of {one.label or 'that program'}, or another instance behind the balancer",
        (
            "# gunicorn --workers, uvicorn --workers, puma -w: all of them are busy or stuck",
            f"# who it is: ss -ltnp 'sport = :{one.port}'",
        ),
        language="text",
        risk="more workers open more database connections: size their pools together",
        verify=f"ss -ltn 'sport = :{one.port}': Recv-Q stays at 0",
        undo="the old number of workers",
    )
    if one.backlog < LOW_BACKLOG:
        yield Fix(
            f"A longer backlog: {one.backlog} is small; it hides a burst, not a lack of workers",
            (
                "sysctl net.core.somaxconn  # the ceiling of what the program asks for",
                "# nginx: listen 80 backlog=1024; gunicorn: --backlog 1024; puma: ?backlog=1024",
            ),
            language="text",
            risk="clients wait longer instead of trying again",
            verify=f"ss -ltn 'sport = :{one.port}': Send-Q is the new value",
            undo=f"backlog {one.backlog}",
        )


def _look() -> Fix:
    return Fix(
        "See which socket it is, while it happens",
        ("ss -ltnp | awk '$2 >= $3'",),
        language="shell",
        risk="none",
        verify="nstat -az TcpExtListenOverflows: it no longer grows",
        undo="none needed",
    )
