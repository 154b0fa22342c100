"""What a pool's servers do inside PostgreSQL: its backends' pids against pg_stat_activity."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scaledoctor.sdk import Window
from scaledoctor.sources.host import CpuTimes, HostInfo
from scaledoctor.sources.pgbouncer import PoolerDatabases, PoolerServers
from scaledoctor.sources.postgres import Activity, Server, Session
from scaledoctor_checks.host._use import Busy, busy, tells

FULL = 0.9
"""Busy share of the cores at which they are full, as for host.cpu."""


@dataclass(frozen=True, slots=True)
class Inside:
    """The sessions of one pool's servers, sample by sample."""

    samples: tuple[tuple[Session, ...], ...]

    def mean(self, test: Callable[[Session], bool]) -> float:
        """Mean number of sessions that pass a test."""
        return sum(test(s) for sample in self.samples for s in sample) / len(self.samples)

    @property
    def working(self) -> float:
        """Mean number of sessions in a transaction, whatever they do in it."""
        return self.mean(lambda s: s.state != "idle")

    def share(self, test: Callable[[Session], bool]) -> float:
        """Share of the time in transactions in which a session passes a test."""
        return self.mean(test) / self.working if self.working else 0.0

    @property
    def pids(self) -> set[int]:
        """All that were seen."""
        return {s.pid for sample in self.samples for s in sample}


def inside(
    servers: Window[PoolerServers] | None,
    databases: PoolerDatabases | None,
    activity: Window[Activity] | None,
) -> Mapping[str, Inside]:
    """Return what is known of each pool; pools whose backends PostgreSQL does not show are absent.

    A backend counts when its pid, database and user are the pool's: another server may have the
    same pid.
    """
    if servers is None or activity is None or activity.last.hidden:
        return {}
    owners: dict[tuple[int, str, str], str] = {}
    for pool in (p for sample in servers for p in sample.pools):
        database = databases.named(pool.database) if databases else None
        real = database.real if database and database.real else pool.database
        owners |= {(pid, real, pool.user): pool.key for pid in pool.pids}
    found: dict[str, list[list[Session]]] = {}
    for number, sample in enumerate(activity):
        for session in sample.sessions:
            key = owners.get((session.pid, session.database, session.user))
            if key is not None:
                empty: list[list[Session]] = [[] for _ in range(len(activity))]
                found.setdefault(key, empty)[number].append(session)
    return {key: Inside(tuple(map(tuple, samples))) for key, samples in found.items()}


def computing(session: Session) -> bool:
    """Runs and waits for nothing that PostgreSQL knows of: it has a core, or wants one."""
    return session.active and not session.wait_type


def saturated(
    server: Server | None, info: HostInfo | None, cpu: Window[CpuTimes] | None
) -> Busy | None:
    """How busy the database's cores are, if its machine is seen and they are full."""
    used = busy(cpu) if cpu else None
    if used is None or server is None or info is None or not tells(info, local=server.local):
        return None
    return used if used.full(info.cores, FULL) else None
