"""What happened when, for the report of an incident: all in UTC."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from scaledoctor.errors import ScaledoctorError
from scaledoctor.report import Moment
from scaledoctor.snapshot import Record, Snapshot
from scaledoctor.sources.host import HostInfo
from scaledoctor.sources.postgres import Server, Statements

RECENT = timedelta(days=7)
"""What is older than this has nothing to do with an incident of today."""

_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?(?:Z| ?UTC)?\s+(\S.*)", re.S)
_FULL = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d\S*)\s+(\S.*)", re.S)


def timeline(snapshot: Snapshot, events: Sequence[Moment] = ()) -> tuple[Moment, ...]:
    """Starts, resets and the scan itself, with what the user knows; in order of time."""
    began, took = snapshot.started, timedelta(seconds=snapshot.seconds)
    found = [
        *(m for record in snapshot.records for m in _of(record, began)),
        Moment(began, "scaledoctor began to look"),
        Moment(began + took, "scaledoctor had seen enough"),
    ]
    recent = [moment for moment in found if began - moment.at <= RECENT]
    return tuple(sorted([*recent, *events], key=lambda m: m.at))


def event(text: str, now: datetime) -> Moment:
    """Read ``14:02 deploy 1.8`` or ``2026-05-04T14:02:00Z deploy 1.8``; no zone means UTC.

    A clock time later than ``now`` is yesterday's.

    Raises:
        ScaledoctorError: it does not begin with a time, or says nothing.
    """
    hint = '--event "14:02 deploy 1.8" or "2026-05-04T14:02:00Z deploy 1.8"; times are UTC'
    clock, full = _CLOCK.fullmatch(text.strip()), _FULL.fullmatch(text.strip())
    try:
        if full:
            at = datetime.fromisoformat(full[1])
            return Moment(at if at.tzinfo else at.replace(tzinfo=UTC), full[2])
        if clock:
            at = now.replace(
                hour=int(clock[1]), minute=int(clock[2]), second=int(clock[3] or 0), microsecond=0
            )
            return Moment(at if at <= now else at - timedelta(days=1), clock[4])
    except ValueError:
        pass
    raise ScaledoctorError(f"--event {text!r}: no time and what happened", hint)


def _of(record: Record, began: datetime) -> Iterator[Moment]:
    server, host = record.last(Server), record.last(HostInfo)
    statements = record.last(Statements)
    if server is not None:
        yield Moment(began - timedelta(seconds=server.uptime), f"{record.name} started")
    if statements is not None and statements.reset_age is not None:
        reset = began - timedelta(seconds=statements.reset_age)
        yield Moment(reset, f"statistics of {record.name} were reset")
    if host is not None and host.booted:
        yield Moment(datetime.fromtimestamp(host.booted, UTC), f"{record.name} booted")
    if not record.reach.ok:
        yield Moment(began, f"{record.name} did not let us in: {record.reach.message}")
