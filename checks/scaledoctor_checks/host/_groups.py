"""Processes that belong together, and whether they are part of the service."""

from collections.abc import Iterator
from dataclasses import dataclass

from scaledoctor.sdk import Window
from scaledoctor.sources.host import Process, Processes

SERVICE = (
    "pgbouncer", "pgcat", "odyssey", "haproxy", "nginx", "envoy", "redis-server", "beam.smp",
    "mariadbd", "mysqld",
)  # fmt: skip
"""Programs that stand beside the application and the database: part of any service."""

DATABASE_PORTS = frozenset({5432, 6432, 3306})
"""PostgreSQL's, PgBouncer's and MySQL's ports: the database may be on another machine."""

ANONYMOUS = (" -c", " -e", " -lc")
"""Labels of inline code: equal ones need not be one program."""

NOTICEABLE = 0.02
"""Cores below which a process is no reason to name its pid."""


@dataclass(frozen=True, slots=True)
class Group:
    """Processes of one label: mean cores, pids, and the busiest one with its parent's label.

    ``client`` says that they are part of the service, ``direct`` that one of them is connected
    to the database or is a known pooler or balancer, ``seen`` that we may see their connections;
    ``one`` is the busiest process's cores, ``thread`` its busiest thread's.
    """

    label: str
    cores: float
    pids: tuple[int, ...]
    client: bool
    direct: bool
    seen: bool
    parent: str
    one: float
    thread: float


def groups(window: Window[Processes]) -> list[Group]:
    """Group the processes that used CPU by label, the most cores first; ours left out.

    Empty without a window.
    """
    if window.seconds <= 0:
        return []
    service, direct = members(window.last), _direct(window.last)
    labels = {p.pid: p.label for p in window.last.processes}
    found: dict[tuple[str, bool], list[tuple[float, Process]]] = {}
    for cores, process in _used(window):
        found.setdefault((process.label, process.pid in service), []).append((cores, process))
    result: list[Group] = []
    for (label, client), several in found.items():
        several.sort(key=lambda used: -used[0])
        cores, top = several[0]
        result.append(
            Group(
                label=label,
                cores=sum(used for used, _ in several),
                pids=tuple(p.pid for used, p in several if used > NOTICEABLE),
                client=client,
                direct=any(p.pid in direct for _, p in several),
                seen=top.peers is not None,
                parent=labels.get(top.parent, "") if top.parent > 1 else "",
                one=cores,
                thread=(top.hottest or 0.0) / window.seconds,
            )
        )
    return sorted(result, key=lambda g: -g.cores)


def members(now: Processes) -> set[int]:
    """Pids of the service: databases, their clients, whoever talks to those, and siblings.

    A process whose connections we may not see is a client when its user has a connection to a
    database here.
    """
    service = _direct(now)
    before = 0
    while before != len(service):
        before = len(service)
        served = {port for p in now.processes if p.pid in service for port in p.serves or ()}
        kin = {(p.label, p.parent) for p in now.processes if p.pid in service}
        for process in now.processes:
            named = not process.label.endswith(ANONYMOUS)
            if served & set(process.peers or ()) or (
                named and (process.label, process.parent) in kin
            ):
                service.add(process.pid)
    return service


def _direct(now: Processes) -> set[int]:
    """Databases, the programs that stand beside any service, and who is connected to a database."""
    databases = DATABASE_PORTS | set(now.databases)
    found: set[int] = set()
    for process in now.processes:
        ports = {*(process.peers or ()), *(process.remote or ())}
        hidden = process.peers is None and process.uid in now.clients
        known = process.label == "postgres" or process.label.startswith(SERVICE)
        if known or hidden or ports & databases:
            found.add(process.pid)
    return found


def starved(window: Window[Processes]) -> float | None:
    """Share of the service's runnable time that it waited for a core (schedstat).

    None below 5 % of a core, or where the kernel does not tell.
    """
    ran, waited = _scheduled(window)
    if window.seconds <= 0 or ran < 0.05 * window.seconds:
        return None
    return waited / (ran + waited)


def runnable(window: Window[Processes]) -> float:
    """Tasks of the service that wait for a core, on average; 0 where the kernel does not tell."""
    return _scheduled(window)[1] / window.seconds if window.seconds > 0 else 0.0


def _scheduled(window: Window[Processes]) -> tuple[float, float]:
    """Seconds in which the service ran, and in which it waited for a core."""
    service = members(window.last)
    before = {p.pid: p for p in window.first.processes}
    ran = waited = 0.0
    for process in window.last.processes:
        if process.pid in service and process.ran is not None and process.waited is not None:
            first = before.get(process.pid)
            ran += max(0.0, process.ran - ((first.ran if first else 0.0) or 0.0))
            waited += max(0.0, process.waited - ((first.waited if first else 0.0) or 0.0))
    return ran, waited


def _used(window: Window[Processes]) -> Iterator[tuple[float, Process]]:
    before = {p.pid: p.cpu for p in window.first.processes}
    for process in window.last.processes:
        if not process.own:
            used = process.cpu - before.get(process.pid, 0.0)
            yield max(0.0, used) / window.seconds, process
