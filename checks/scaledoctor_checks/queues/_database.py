"""What the workers of the queues do in PostgreSQL while jobs wait for them."""

import re
from dataclasses import dataclass

from scaledoctor.sdk import Window
from scaledoctor.sources.host import CpuTimes, HostInfo
from scaledoctor.sources.postgres import Activity, Server
from scaledoctor_checks.host._use import busy, tells

WORKER = re.compile(
    r"(?<![a-z])(workers?|celery|rq|sidekiq|dramatiq|huey|arq|bull(mq)?|jobs?|queues?|consumers?)"
    r"(?![a-z])",
    re.I,
)
"""Applications whose name says that they are workers."""

CROWD = 1.5
"""Sessions without a name per busy worker, up to which they are taken for the workers'."""


@dataclass(frozen=True, slots=True)
class Held:
    """Mean sessions of the workers: in a statement or transaction, and of these waiting.

    ``blocked`` wait for another session's lock, ``running`` are in a statement. ``label`` is the
    application with most of them. ``queueing``: the database is on this host, whose cores are
    full with tasks in the queue. Without ``named`` they are sessions that give no application's
    name, as those of most workers in Python: they count while they are about as many as the
    busy workers.
    """

    label: str
    blocked: float
    running: float
    open: float
    queueing: bool
    named: bool = True

    def locked(self, slots: float | None) -> float:
        """The share of the working slots that wait for a lock."""
        return min(1.0, self.blocked / max(slots or self.open, 1.0))

    def statements(self, slots: float | None) -> float:
        """The share of the working slots that are in a statement and do not wait for a lock."""
        return min(1.0, self.running / max(slots or self.open, 1.0))

    def waits_for(self, slots: float | None) -> dict[str, float]:
        """The shares, by resource, that the workers measurably wait for."""
        if not self.named and not 0 < self.open <= CROWD * (slots or 0.0) + 1.0:
            return {}
        shares = {"postgres.locks": self.locked(slots)}
        if self.queueing:
            shares["host.cpu"] = self.statements(slots)
        return {resource: share for resource, share in shares.items() if share > 0}


def held(
    activity: Window[Activity] | None,
    server: Server | None,
    cpu: Window[CpuTimes] | None,
    info: HostInfo | None,
) -> Held | None:
    """The workers' sessions over the window; None when there are none, or none that we can see."""
    if activity is None or activity.last.hidden or activity.last.untracked:
        return None
    mine = [[s for s in a.sessions if WORKER.search(s.application)] for a in activity]
    named = any(s.state != "idle" for sessions in mine for s in sessions)
    if not named:
        mine = [[s for s in a.sessions if not s.application] for a in activity]
    labels = [s.label for sessions in mine for s in sessions]
    if not labels:
        return None
    count = len(mine)
    used = busy(cpu) if cpu else None
    label = max(sorted(set(labels)), key=labels.count)
    return Held(
        label=label if named else f"as it seems, sessions of {label} without a name",
        blocked=sum(s.blocked for some in mine for s in some) / count,
        running=sum(s.active and not s.blocked for some in mine for s in some) / count,
        open=sum(s.state != "idle" for some in mine for s in some) / count,
        queueing=bool(
            server
            and used
            and info
            and tells(info, local=server.local)
            and used.full(info.cores, share=0.9)
        ),
        named=named,
    )
