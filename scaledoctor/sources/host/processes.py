"""Who uses the CPU, and which databases each of the busiest talks to."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from scaledoctor.sdk import Cadence, Window, fact, probe
from scaledoctor.sources.host._labels import label
from scaledoctor.sources.host._sockets import (
    client_users,
    database_ports,
    our_table,
    sockets,
)
from scaledoctor.sources.host.session import MOST, PROC, HostSession, all_pids, pids, text

BUSIEST = 12
"""Processes whose connections and threads are looked up at least, twice as many at most.

Each costs a read per descriptor and per thread.
"""

THREADS = 64
"""Threads read of one process: a hot one among more is rare, and each costs a file."""

POOLERS = ("pgbouncer", "pgcat", "odyssey", "supavisor")
"""Their clients are the database's clients: their ports are looked up however idle they are."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process; counters in seconds since it began.

    ``label`` is its name, for interpreters with the script or module. ``waited`` is time on the
    run queue and ``ran`` time on a core (schedstat). ``peers`` and ``remote`` are the TCP ports
    that it is connected to here and elsewhere (PostgreSQL's unix sockets count by their port),
    ``serves`` the ones that it listens on: None when not looked up or not ours to see. ``hottest``
    is what its busiest thread used between the two readings. ``allowed`` is on how many cores it
    may run, None when not looked up. ``started`` is seconds since boot,
    ``memory`` resident bytes, ``own`` marks ourselves.
    """

    pid: int
    label: str
    cpu: float
    waited: float | None
    own: bool
    parent: int = 0
    ran: float | None = None
    started: float = 0.0
    threads: int = 1
    memory: int = 0
    uid: int | None = None
    peers: tuple[int, ...] | None = None
    remote: tuple[int, ...] | None = None
    serves: tuple[int, ...] | None = None
    hottest: float | None = None
    allowed: int | None = None


@fact
@dataclass(frozen=True, slots=True)
class Processes:
    """Every process but kernel threads, at one moment.

    ``databases`` are the ports of PostgreSQL and of poolers on this machine, ``clients`` the ids
    of the users whose processes are connected to them. ``left_out`` were too many to be looked at.
    """

    processes: tuple[Process, ...]
    databases: tuple[int, ...] = ()
    clients: tuple[int, ...] = ()
    left_out: int = 0


@probe(cost="2 small files per process, at both edges", cadence=Cadence.EDGES)
async def processes(host: HostSession) -> Processes:
    """Read /proc/PID/stat and schedstat; sockets and threads of those that used most CPU since."""
    found = [p for p in (_process(host, pid) for pid in pids()) if p is not None]
    before, host.cpu = host.cpu, {p.pid: p.cpu for p in found}
    if not before:
        for process in sorted(found, key=lambda p: -p.cpu)[: 2 * BUSIEST]:
            host.threads |= _threads(process)
        return Processes(tuple(found))
    return _looked_up(host, found, _busiest(found, before))


def _busiest(found: list[Process], before: Mapping[int, float]) -> list[Process]:
    """The busiest since the first reading, and the two busiest of each of the busiest labels.

    A crowd of small workers must not be hidden by one program's dozen.
    """
    grown = sorted(found, key=lambda p: before.get(p.pid, 0.0) - p.cpu)
    by_label: dict[str, list[Process]] = {}
    for process in grown:
        by_label.setdefault(process.label, []).append(process)
    crowds = (several[:2] for several in list(by_label.values())[: BUSIEST // 2])
    chosen = (*grown[:BUSIEST], *(process for several in crowds for process in several))
    return list({process.pid: process for process in chosen}.values())


def _looked_up(host: HostSession, found: list[Process], busiest: list[Process]) -> Processes:
    labels = {p.pid: p.label for p in found}
    servers = [
        p
        for p in found
        if p.label.startswith(POOLERS)
        or (p.label == "postgres" and labels.get(p.parent) != "postgres")
    ]
    table = our_table()
    known = sockets({p.pid for p in (*busiest, *servers[:BUSIEST])}, table)
    ports = set(database_ports())
    for server in servers:
        ports |= set(known[server.pid].serves if server.pid in known else ())
    closer: dict[int, Process] = {}
    for process in busiest:
        mine = known.get(process.pid)
        hot = [cpu - host.threads.get(tid, 0.0) for tid, cpu in _threads(process).items()]
        closer[process.pid] = replace(
            process,
            uid=_uid(process.pid),
            peers=mine.peers if mine else None,
            remote=mine.remote if mine else None,
            serves=mine.serves if mine else None,
            hottest=max(hot, default=None),
            allowed=_allowed(process.pid),
        )
    return Processes(
        processes=tuple(closer.get(p.pid, p) for p in found),
        databases=tuple(sorted(ports)),
        clients=client_users(ports, table),
        left_out=max(0, len(all_pids()) - MOST),
    )


def _process(host: HostSession, pid: int) -> Process | None:
    tick = os.sysconf("SC_CLK_TCK")
    stat = text(f"{PROC}/{pid}/stat")
    if not stat:
        return None  # gone in between
    name, _, rest = stat.partition("(")[2].rpartition(")")
    fields = rest.split()
    if pid == 2 or fields[1] == "2":
        return None  # kernel threads are children of kthreadd
    known = (pid, fields[19], name)
    if known not in host.labels:
        command = (text(f"{PROC}/{pid}/cmdline") or name).split("\0")
        host.labels[known] = host.redactor.text(label(name, command))
    schedstat = (text(f"{PROC}/{pid}/schedstat") or "").split()
    timed = len(schedstat) == 3
    return Process(
        pid=pid,
        label=host.labels[known],
        cpu=(int(fields[11]) + int(fields[12])) / tick,
        waited=int(schedstat[1]) / 1e9 if timed else None,
        own=pid == os.getpid(),
        parent=int(fields[1]),
        ran=int(schedstat[0]) / 1e9 if timed else None,
        started=int(fields[19]) / tick,
        threads=int(fields[17]),
        memory=int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
    )


def _threads(process: Process) -> dict[int, float]:
    """CPU seconds by thread; the process itself when it has one."""
    if process.threads == 1:
        return {process.pid: process.cpu}
    found: dict[int, float] = {}
    try:
        folders = sorted((PROC / str(process.pid) / "task").iterdir(), key=_tid)[:THREADS]
    except OSError:
        return {}
    for folder in folders:
        fields = (text(folder / "stat") or "").rpartition(")")[2].split()
        if fields:
            ticks = int(fields[11]) + int(fields[12])
            found[_tid(folder)] = ticks / os.sysconf("SC_CLK_TCK")
    return found


def _tid(folder: Path) -> int:
    return int(folder.name)


def _allowed(pid: int) -> int | None:
    try:
        return len(os.sched_getaffinity(pid))
    except OSError:
        return None


def _uid(pid: int) -> int | None:
    try:
        return (PROC / str(pid)).stat().st_uid
    except OSError:
        return None


def cores_by_label(window: Window[Processes]) -> Mapping[str, float]:
    """Mean cores that each label's processes used over the window, ours left out.

    A process that began in between counts from zero. Empty without a window.
    """
    if window.seconds <= 0:
        return {}
    before = {p.pid: p.cpu for p in window.first.processes}
    found: dict[str, float] = {}
    for process in window.last.processes:
        if not process.own:
            used = max(0.0, process.cpu - before.get(process.pid, 0.0)) / window.seconds
            found[process.label] = found.get(process.label, 0.0) + used
    return found
