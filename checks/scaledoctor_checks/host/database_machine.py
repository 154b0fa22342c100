"""The machine of a database that runs elsewhere: busy with something that is not the database."""

from collections.abc import Iterator
from statistics import median

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Severity,
    Step,
    Unavailable,
    Window,
    check,
)
from scaledoctor.sources.host import CpuTimes, HostInfo
from scaledoctor.sources.postgres import Activity, Server
from scaledoctor.sources.postgres.roundtrip import RoundTrip
from scaledoctor_checks.host._use import Busy, busy, computing_cores, tells

ENOUGH = 4
"""Round trips, of which the median says something."""


@check("host.database-machine", step=Step.SCALE_OUT)
def database_machine(
    server: Server,
    trips: Window[RoundTrip] | None,
    activity: Window[Activity] | None,
    info: HostInfo | None,
    cpu: Window[CpuTimes] | None,
    /,
    *,
    late: float = 0.005,
    full: float = 0.9,
    share: float = 0.5,
) -> Iterator[Finding]:
    """The database's machine is taken by something that no view of the database shows.

    Why: a backend that waits for a core tells nothing of it: its statements are as short as ever,
    and the clients wait all the same.

    How measured: of a database elsewhere. Where its node_exporter tells, all cores are ``full``
    with tasks queueing, and its computing sessions account for less than ``share`` of them. Else
    the median round trip of a question that costs nothing, less the server's own time, the
    network's and ours, is ``late`` seconds or more and longer than the network's: 2.6 ms became
    13.7 under a CPU hog and 31 under a quota while the server's time stayed 0.13 ms (our own
    measurements).

    Fix: look at that machine: which program, a quota, or stolen time.

    When to ignore: a way with a relay or a tunnel, which delays like a busy machine.

    References: "The USE Method", Brendan Gregg; tcp(7), TCP_INFO.
    """
    if server.local:
        return  # host.cpu-other-process names the program
    times = [t.lost for t in trips] if trips else []
    lost = median(times) if len(times) >= ENOUGH else None
    if info is not None and tells(info, local=False):
        used = busy(cpu) if cpu else None
        if used is not None and activity is not None and used.full(info.cores, full):
            own = computing_cores(used, activity)
            if own < share * used.cores:
                yield _others(info, used, own, lost, share)
    elif lost is None:
        raise Unavailable(
            "neither its machine nor the time of a round trip is seen",
            "add --node-exporter http://HOST:9100, or run scaledoctor there",
        )
    elif trips is not None and lost >= max(late, median(t.network or 0.0 for t in trips)):
        yield _late(trips, lost, late)


def _others(info: HostInfo, used: Busy, own: float, lost: float | None, share: float) -> Finding:
    trip = (Evidence("a question waited", lost * 1000, "ms", source="probe"),) if lost else ()
    part = 1 - own / used.cores
    return Finding(
        subject=f"other programs on {info.machine}",
        summary=(
            f"{used.cores:.1f} of {info.cores} cores of {info.machine} are busy and the database "
            f"takes {own:.1f} of them: something else on its machine has the rest"
        ),
        severity=Severity.HIGH,
        confidence=Confidence.MEDIUM,
        evidence=(
            Evidence("busy cores", used.cores, f"of {info.cores}", source="/proc/stat"),
            Evidence("cores of computing sessions", own, "cores", share * used.cores,
                     "pg_stat_activity"),
            Evidence("runnable tasks, mean", used.running, "tasks", source="/proc/stat"),
            *trip,
        ),
        fixes=(_look(),),
        explains={f"host.cpu:{info.machine}": part},
        impact=part * max(0.0, 1 - info.cores / used.running) if used.running else 0.0,
    )  # fmt: skip


def _late(trips: Window[RoundTrip], lost: float, late: float) -> Finding:
    source = "probe"
    return Finding(
        subject="the database's machine",
        summary=(
            f"a question that costs nothing waits {lost * 1000:.0f} ms beyond the server's and the "
            "network's time: the database's machine, or a relay before it, is short of CPU"
        ),
        severity=Severity.MEDIUM,
        confidence=Confidence.LOW,
        evidence=(
            Evidence("lost per round trip, median", lost * 1000, "ms", late * 1000, source),
            Evidence("in the server", median(t.server for t in trips) * 1000, "ms", source=source),
            Evidence("in the network", median(t.network or 0.0 for t in trips) * 1000, "ms",
                     source="TCP_INFO"),
        ),
        fixes=(_look(),),
        impact=0.2,  # what the clients' statements lose is not measured
    )  # fmt: skip


def _look() -> Fix:
    return Fix(
        "See on that machine who has the cores",
        (
            "top -b -n 1 | head -20  # over there; column st of vmstat is stolen time",
            "scaledoctor scan --window 10  # over there: it names the program",
        ),
        language="shell",
        risk="none",
        verify="scaledoctor scan again, with --node-exporter of that machine",
        undo="none needed",
    )
