"""The one statement that most of a pool's servers run, and a pool apart for who runs it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil

from scaledoctor.sdk import Evidence, Fix, Window
from scaledoctor.sources.pgbouncer import PoolerClients
from scaledoctor_checks.pooling._causes import MOST
from scaledoctor_checks.pooling._inside import Inside
from scaledoctor_checks.pooling._load import Load
from scaledoctor_checks.pooling._setup import Setup
from scaledoctor_checks.pooling._words import entry, ini, nameable


@dataclass(frozen=True, slots=True)
class Mostly:
    """``share`` of the busy servers run this statement, ``servers`` on average.

    ``label`` is the application that runs it most.
    """

    query: str
    label: str
    share: float
    servers: float

    def evidence(self) -> Evidence:
        """What an engineer looks for first in a full pool."""
        return Evidence(
            f"{self.share:.0%} of its busy servers run, for {self.label}",
            self.query,
            source="pg_stat_activity",
        )


def mostly(seen: Inside | None) -> Mostly | None:
    """Find the statement that half of the busy servers run, or more."""
    busy = [s for sample in seen.samples for s in sample if s.state != "idle"] if seen else []
    counts = Counter(s.query for s in busy if s.query)
    if seen is None or not counts:
        return None
    ((query, count),) = counts.most_common(1)
    if count < MOST * len(busy):
        return None
    labels = Counter(s.label for s in busy if s.query == query)
    return Mostly(query, labels.most_common(1)[0][0], count / len(busy), count / len(seen.samples))


def apart(
    load: Load, heavy: Mostly | None, clients: Window[PoolerClients] | None, setup: Setup
) -> Iterator[Fix]:
    """A second entry of the same database, where other applications share the pool."""
    groups = [g for sample in clients or () for g in sample.groups if g.key == load.key]
    others = {g.label for g in groups} - {heavy.label if heavy else ""}
    if heavy is None or not others or load.database is None or load.database.forced:
        return
    name = f"{load.database.name}_{heavy.label}"
    name = name if nameable(name) else f"{load.database.name}_slow"
    own = replace(load.database, name=name, real=load.database.real or load.database.name)
    yield ini(
        f"Or give {heavy.label} a pool of its own: the others need not wait for its statement",
        "databases",
        (
            entry(own, f"pool_size={max(1, ceil(heavy.servers))}"),
            f"; and in {heavy.label}: dbname={name}",
        ),
        setup.config,
        risk="its sessions come on top of the old pool's in PostgreSQL",
        verify="SHOW POOLS; on the console: cl_waiting of the old pool falls to 0",
        undo=f"dbname={load.database.name} in {heavy.label}, take the line out, then RELOAD;",
    )
