"""A SQL log as plain numbers: the fact that checks and reports read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scaledoctor.logs.sql.partial import Partial
from scaledoctor.logs.sql.sums import Minute, Sample, Server, Statement
from scaledoctor.logs.sql.times import bucket, percentile
from scaledoctor.redact import Redactor
from scaledoctor.sdk import fact

MOST_STATEMENTS = 50
"""Statements that are told apart: those of most time, and of most executions."""

MOST_PROBLEMS = 40
MOST_TABLES = 20
BARS = 60
"""Stretches that the span is told in."""

_LONGEST = 4000


@dataclass(frozen=True, slots=True)
class Slow:
    """One slow execution; seconds since 1970, and text only when literals may be shown."""

    seconds: float
    when: float
    application: str
    text: str = ""
    parameters: str = ""


@dataclass(frozen=True, slots=True)
class Ran:
    """The executions of one statement; times in seconds, 0 where the log has none.

    ``temp_bytes`` went to ``temp_files``; ``lock_waits`` of ``lock_seconds`` lasted longer than
    deadlock_timeout.
    """

    statement: str
    count: int
    seconds: float
    p50: float
    p95: float
    p99: float
    most: float
    errors: int = 0
    temp_files: int = 0
    temp_bytes: int = 0
    lock_waits: int = 0
    lock_seconds: float = 0.0
    slowest: tuple[Slow, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """Errors or warnings of one kind; the SQLSTATE is empty where neither log nor words tell."""

    severity: str
    sqlstate: str
    message: str
    count: int
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a stretch of the span saw; ``start`` is seconds since 1970."""

    start: float
    calls: int
    seconds: float
    problems: int
    connections: int


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """What autovacuum did to one table."""

    table: str
    vacuums: int
    analyzes: int
    seconds: float


@fact
@dataclass(frozen=True, slots=True)
class SqlLog:
    """What a span of a SQL log says.

    ``live`` says that the span of ``seconds`` ends now. ``busy`` are the server's seconds in
    ``calls`` executions, of which ``untimed`` have no time. ``connections`` were received,
    ``busiest`` a second in the busiest minute; ``short`` of the ``sessions`` that ended lasted
    less than a second. ``lock_waits`` lasted longer than deadlock_timeout. ``stretches`` are of
    ``step`` seconds each. ``own`` names a server's own log that was read through its connection.
    """

    format: str
    live: bool
    first: float
    seconds: float
    lines: int
    unread: int
    entries: int
    calls: int
    untimed: int
    busy: float
    statements: tuple[Ran, ...]
    others: int
    problems: tuple[Told, ...]
    step: float
    stretches: tuple[Stretch, ...]
    connections: int
    busiest: float
    sessions: int
    short: int
    session_p50: float
    owners: Mapping[str, int]
    lock_waits: int
    lock_seconds: float
    longest_lock: float
    temp_files: int
    temp_bytes: int
    largest_temp: int
    checkpoints: Mapping[str, int]
    checkpoint_seconds: float
    longest_sync: float
    too_frequent: int
    vacuumed: tuple[Vacuumed, ...]
    note: str = ""
    own: str = ""

    def told(self, sqlstate: str) -> int:
        """How many errors and FATALs of an SQLSTATE there were."""
        severe = ("ERROR", "FATAL", "PANIC")
        return sum(
            p.count for p in self.problems if p.sqlstate == sqlstate and p.severity in severe
        )


def summary(
    partial: Partial, redactor: Redactor, form: str, *, live: bool = False, note: str = ""
) -> SqlLog:
    """The sums of a finished partial, the heaviest of each kind first."""
    kept = _kept(partial.statements)
    step, stretches = _stretches(partial.minutes)
    timed = sum(s.timed for s in partial.statements.values())
    count = sum(s.count for s in partial.statements.values())
    return SqlLog(
        format=form,
        live=live,
        first=partial.first,
        seconds=round(max(0.0, partial.last - partial.first), 6),
        lines=partial.lines,
        unread=partial.unread,
        entries=partial.entries,
        calls=count,
        untimed=count - timed,
        busy=sum(s.micros for s in partial.statements.values()) / 1e6,
        statements=tuple(_ran(name, partial.statements[name], redactor) for name in kept),
        others=len(partial.statements) - len(kept),
        problems=_problems(partial, redactor),
        step=step,
        stretches=stretches,
        busiest=max((m.connections for m in partial.minutes.values()), default=0) / 60,
        owners={redactor.text(name): n for name, n in _most(partial.server.by_owner)},
        vacuumed=_vacuumed(partial, redactor),
        note=note,
        **_server(partial.server),
    )


def _server(server: Server) -> dict[str, Any]:
    """What is told as it is."""
    return {
        "connections": max(server.connections, server.authorized),
        "sessions": server.sessions.total(),
        "short": sum(n for length, n in server.sessions.items() if length < _SECOND),
        "session_p50": percentile(server.sessions, 0.5),
        "lock_waits": server.lock_waits,
        "lock_seconds": server.waited / 1e6,
        "longest_lock": server.longest_wait / 1e6,
        "temp_files": server.temp_files,
        "temp_bytes": server.temp_bytes,
        "largest_temp": server.largest_temp,
        "checkpoints": dict(_most(server.checkpoints)),
        "checkpoint_seconds": server.checkpoint_micros / 1e6,
        "longest_sync": server.longest_sync / 1e6,
        "too_frequent": server.too_frequent,
    }


_SECOND = bucket(1_000_000)


def _most(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_TABLES]


def _kept(statements: Mapping[str, Statement]) -> list[str]:
    """The heaviest by time; where there are no times, by executions."""

    def weight(name: str) -> tuple[int, int, int, str]:
        one = statements[name]
        return -one.micros, -one.count, -one.errors, name

    return sorted(statements, key=weight)[:MOST_STATEMENTS]


def _ran(name: str, one: Statement, redactor: Redactor) -> Ran:
    return Ran(
        statement=redactor.text(name[:_LONGEST]),
        count=one.count,
        seconds=one.micros / 1e6,
        p50=min(percentile(one.times, 0.5), one.most / 1e6),
        p95=min(percentile(one.times, 0.95), one.most / 1e6),
        p99=min(percentile(one.times, 0.99), one.most / 1e6),
        most=one.most / 1e6,
        errors=one.errors,
        temp_files=one.temp_files,
        temp_bytes=one.temp_bytes,
        lock_waits=one.waits,
        lock_seconds=one.waited / 1e6,
        slowest=tuple(_slow(s, redactor) for s in one.samples),
    )


def _slow(sample: Sample, redactor: Redactor) -> Slow:
    texts = (sample.application, sample.text, sample.parameters)
    return Slow(sample.micros / 1e6, sample.when, *map(redactor.text, texts))


def _problems(partial: Partial, redactor: Redactor) -> tuple[Told, ...]:
    found = sorted(partial.problems.values(), key=lambda p: (-p.count, p.sqlstate, p.message))
    return tuple(
        Told(p.severity, p.sqlstate, redactor.text(p.message), p.count, p.first, p.last)
        for p in found[:MOST_PROBLEMS]
    )


def _stretches(minutes: Mapping[int, Minute]) -> tuple[float, tuple[Stretch, ...]]:
    """Whole minutes, as many of them to a stretch as keep the stretches few."""
    known = [minute for minute in minutes if minute > 0]
    if not known:
        return 60.0, ()
    first, last = min(known), max(known)
    each = (last - first) // BARS + 1
    sums: dict[int, Minute] = {}
    for number in known:
        sums.setdefault((number - first) // each, Minute()).merge(minutes[number])
    found = (
        Stretch((first + place * each) * 60.0, m.calls, m.micros / 1e6, m.problems, m.connections)
        for place in range((last - first) // each + 1)
        for m in (sums.get(place, Minute()),)
    )
    return each * 60.0, tuple(found)


def _vacuumed(partial: Partial, redactor: Redactor) -> tuple[Vacuumed, ...]:
    tables = partial.server.vacuums
    order = sorted(tables, key=lambda t: (-tables[t].micros, -tables[t].vacuums, t))
    return tuple(
        Vacuumed(
            redactor.text(name),
            tables[name].vacuums,
            tables[name].analyzes,
            tables[name].micros / 1e6,
        )
        for name in order[:MOST_TABLES]
    )
