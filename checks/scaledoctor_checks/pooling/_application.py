"""The applications in front of PgBouncer, each over all its instances."""

from dataclasses import dataclass
from math import ceil

from scaledoctor.sdk import Fix, Window
from scaledoctor.sources.pgbouncer import ClientGroup, PoolerClients

FEWEST = 2
"""No pool is advised below this: one connection is none while it is being replaced."""


@dataclass(frozen=True, slots=True)
class Application:
    """One application's clients now; ``busy`` is the most that had or wanted a server.

    ``always`` says that none of them was ever idle when we looked.
    """

    label: str
    groups: tuple[ClientGroup, ...]
    busy: int
    always: bool

    @property
    def clients(self) -> int:
        """Connections to PgBouncer."""
        return sum(g.count for g in self.groups)

    @property
    def instances(self) -> int:
        """Addresses that it connects from; several processes of one machine count once."""
        return len({g.address for g in self.groups})

    @property
    def advised(self) -> int:
        """Connections per instance: the busiest moment, a quarter above, and one."""
        return max(FEWEST, ceil(self.busy * 1.25 / self.instances) + 1)


def applications(window: Window[PoolerClients] | None) -> list[Application]:
    """Return all of them, the one with most clients first."""
    if window is None:
        return []
    found: dict[str, list[ClientGroup]] = {}
    for group in window.last.groups:
        found.setdefault(group.label, []).append(group)
    result: list[Application] = []
    for label, groups in found.items():
        busy = [sum(g.count - g.idle for g in s.groups if g.label == label) for s in window]
        idle = [sum(g.idle for g in s.groups if g.label == label) for s in window]
        result.append(Application(label, tuple(groups), max(busy), always=not any(idle)))
    return sorted(result, key=lambda a: (-a.clients, a.label))


def smaller_pool(application: Application) -> Fix:
    """The size for the pool in the application, with its arithmetic."""
    each, busy, instances = application.advised, application.busy, application.instances
    return Fix(
        f"Give {application.label} a pool of {each} connections per instance",
        (
            f"# most with or waiting for a server: {busy}, instances: {instances}",
            f"# {busy} x 1.25 / {instances} + 1, at least {FEWEST}: {each}",
            f"# instead of {application.clients / instances:.0f}",
            f"max_pool_size = {each}",
        ),
        language="ini",
        risk="two readings of one window may miss the busiest moment: look again then",
        verify="SHOW LISTS; on the console: used_clients falls, cl_waiting stays at 0",
        undo="the old pool size",
    )
