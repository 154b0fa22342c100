"""Who opens the sessions, looked at closely only when many are opened."""

from dataclasses import dataclass
from time import monotonic

from scaledoctor.sdk import Cadence, Unavailable, Window, fact, probe
from scaledoctor.sources.postgres.activity import Activity
from scaledoctor.sources.postgres.counters import Databases
from scaledoctor.sources.postgres.session import PostgresSession

RATE = 5.0
"""New sessions per second from which we look: a pool that starts opens a few, once."""

SECONDS = 1.5
PAUSE = 0.015
"""A session for one short statement lives for milliseconds: at 60 per second and 4 ms each, two
looks a second miss it for ten seconds; up to 100 looks in 1.5 s see about twenty of them."""


@fact
@dataclass(frozen=True, slots=True)
class Newcomer:
    """One session that was caught younger than 0.1 s; ``gone`` when it had ended soon after."""

    pid: int
    user: str
    application: str
    gone: bool

    @property
    def label(self) -> str:
        """How people know it: its application_name, else its user."""
        return self.application or self.user or "unknown"


@fact
@dataclass(frozen=True, slots=True)
class Newcomers:
    """New sessions per second over the window, and those caught afterwards."""

    rate: float
    sessions: tuple[Newcomer, ...]


_YOUNG = """
SELECT a.pid, coalesce(a.usename::text, '') AS "user",
       coalesce(a.application_name, '') AS application
FROM pg_stat_activity a
WHERE a.backend_start > clock_timestamp() - interval '0.1 s'
  AND a.usesysid IS NOT NULL AND a.datid IS NOT NULL AND a.pid <> pg_backend_pid()
  AND a.backend_type = 'client backend'
LIMIT 200
"""

_STAY = "SELECT a.pid FROM pg_stat_activity a WHERE a.pid = ANY(%(pids)s)"


@probe(
    cost="up to 100 queries of < 1 ms in 1.5 s, from 5 new sessions per second or on version 13",
    cadence=Cadence.LAST,
)
async def newcomers(
    pg: PostgresSession, counters: Window[Databases], activity: Window[Activity]
) -> Newcomers:
    """Count new sessions; when there are many, look quickly many times for who they are.

    Before PostgreSQL 14 nobody counts them: the quick looks do, for at least as many.
    """
    rate = _rate(counters, activity)
    if pg.wire.lost:
        raise Unavailable(pg.wire.lost)
    if rate is None and len(counters) > 1:
        raise Unavailable("the counters of pg_stat_database were reset in the window")
    if rate is None:
        raise Unavailable("sessions per second need a window", "scan with --window 10")
    counted = counters.last.sessions is not None
    if counted and rate < RATE:
        return Newcomers(rate, ())
    from asyncio import sleep

    found: dict[int, tuple[str, str]] = {}
    text = pg.redactor.text
    until = monotonic() + SECONDS
    while monotonic() < until:
        for row in await pg.rows(_YOUNG):
            found[row["pid"]] = (row["user"], text(row["application"]))
        await sleep(PAUSE)
    if not counted:
        rate = max(rate, len(found) / SECONDS)
    stay = {row["pid"] for row in await pg.rows(_STAY, {"pids": sorted(found)})}
    return Newcomers(
        rate, tuple(Newcomer(pid, *names, pid not in stay) for pid, names in found.items())
    )


def _rate(counters: Window[Databases], activity: Window[Activity]) -> float | None:
    """From pg_stat_database; before PostgreSQL 14 those that were sampled, the short ones not."""
    if counters.last.sessions is not None:
        return counters.rate(lambda c: c.sessions or 0)
    if activity.seconds <= 0:
        return None
    before = {s.pid for s in activity.first.sessions}
    fresh = {s.pid for a in activity for s in a.sessions} - before
    return len(fresh) / activity.seconds
