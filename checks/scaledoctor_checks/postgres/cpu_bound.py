"""The database's own, ordinary work fills the machine."""

from collections.abc import Iterator
from dataclasses import replace

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
from scaledoctor.sources.host import CpuTimes, HostInfo, Processes, cores_by_label
from scaledoctor.sources.postgres import Activity, Server, Statements
from scaledoctor.sources.redis.traffic import RedisTraffic
from scaledoctor_checks.host._use import Busy, busy, computing_cores, tells
from scaledoctor_checks.postgres._explain import plan_fix
from scaledoctor_checks.postgres._heavy import DOMINANT, Heavy, heavy
from scaledoctor_checks.postgres._words import statement
from scaledoctor_checks.redis._database import tie


@check("postgres.cpu-bound", step=Step.SCALE_OUT)
def cpu_bound(
    server: Server,
    activity: Window[Activity],
    statements: Window[Statements] | None,
    info: HostInfo | None,
    cpu: Window[CpuTimes] | None,
    processes: Window[Processes] | None,
    traffic: Window[RedisTraffic] | None = None,
    /,
    *,
    full: float = 0.9,
    share: float = 0.5,
) -> Iterator[Finding]:
    """The database's own work fills every core of its machine.

    Why: each statement waits for a core before it waits for anything else; more connections make
    it slower.
    How measured: on the database's machine, this one or one that a node_exporter tells about, all
    cores are ``full``, tasks queue for them, its processes use ``share`` of the cores, and no
    single statement is to blame. Of another machine the processes are not seen: there its
    sessions that wait for nothing count as so many of the runnable tasks.
    Fix: the heaviest statement first; then caching, a read replica or more cores. Not more
    application instances and not more connections.
    When to ignore: a load test that means to find the limit.
    References: "The USE Method", Brendan Gregg.
    """
    used = busy(cpu) if cpu else None
    if used is None or info is None or not tells(info, local=server.local):
        raise Unavailable(
            "the cores of the database's machine were not seen over a window",
            "scan there, with a --window, or give its --node-exporter",
        )
    taken = _taken(used, info, activity, processes)
    cores = float(taken.value)
    queueing = used.cores >= full * info.cores and used.contended(info.cores)
    if not queueing or cores < share * info.cores:
        return
    heaviest = heavy(activity, statements)[:3]
    if any(one.share >= DOMINANT and one.wasteful() for one in heaviest):
        return  # postgres.statement-share names it
    first = f", most of it {statement(heaviest[0].query, 70)}" if heaviest else ""
    where = f" of {info.machine}" if info.machine else ""
    missed = tie(traffic, activity, statements)
    part = cores / max(used.cores, cores)
    yield Finding(
        subject="postgres",
        summary=(
            f"PostgreSQL takes {cores:.1f} of {info.cores} cores{where} and "
            f"{used.running:.0f} tasks compete for them{first}"
        ),
        severity=Severity.HIGH,
        confidence=Confidence.LOW if info.machine else Confidence.MEDIUM,
        evidence=(
            replace(taken, threshold=share * info.cores),
            Evidence("runnable tasks, mean", used.running, "tasks", 2.0 * info.cores,
                     "/proc/stat"),
            *(
                Evidence(f"{one.share:.0%} of statement time", statement(one.query),
                         source="pg_stat_statements")
                for one in heaviest
            ),
        ),
        fixes=_fixes(heaviest, server.major),
        explains={f"host.cpu:{info.machine}" if info.machine else "host.cpu": part},
        waits_for={"redis.misses": missed.share} if missed else {},
        # Tasks beyond the cores wait: that share of the runnable time is lost.
        impact=part * max(0.0, 1 - info.cores / used.running) if used.running else 0.0,
    )  # fmt: skip


def _taken(
    used: Busy, info: HostInfo, activity: Window[Activity], processes: Window[Processes] | None
) -> Evidence:
    """The cores that PostgreSQL takes: by its processes, elsewhere by its sessions."""
    what, of = "cores PostgreSQL takes", f"of {info.cores}"
    if not info.machine and processes is not None:
        cores = cores_by_label(processes).get("postgres", 0.0)
        return Evidence(what, cores, of, source="/proc/PID/stat")
    if not info.machine:
        return Evidence(what, 0.0, of)
    return Evidence(what, computing_cores(used, activity), of, source="pg_stat_activity")


def _fixes(heaviest: list[Heavy], major: int) -> tuple[Fix, ...]:
    title = (
        "Take work off the cores instead of more instances in front of them: the heaviest "
        "statement, then a cache or replica"
    )
    verify = "scaledoctor scan again: host.cpu below 80 %"
    return tuple(f for one in heaviest[:1] for f in plan_fix(title, one.query, major, verify))
