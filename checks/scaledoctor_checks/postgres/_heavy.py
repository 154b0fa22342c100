"""Statements by their share of database time: counters and samples joined."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from scaledoctor.sdk import Window
from scaledoctor.sources.host import Processes, cores_by_label
from scaledoctor.sources.postgres import (
    Activity,
    Server,
    Session,
    Statements,
    Table,
    Tables,
)
from scaledoctor.sql import equality_predicates

DOMINANT = 0.4
"""Share of all statements' time from which one statement is the database's work (pganalyze and
PgHero rank by it; above 40 % nothing else can matter more)."""

ALONE = 1.5
"""Sessions busy with a statement, on average, below which it is one program's own work."""


@dataclass(frozen=True, slots=True)
class Heavy:
    """One statement over the window; seconds are session-seconds of execution, waits included.

    ``blocked`` is the share of its sampled time spent waiting for others: for locks, or for a
    synchronous standby; ``slept`` says that it mostly slept on purpose. ``calls`` is 0 for a
    statement that only the samples know, because it has not finished. ``key`` is its query id,
    before PostgreSQL 14 its text.
    """

    key: str
    query: str
    application: str
    seconds: float
    calls: int
    rows: int
    blocks: int
    blocked: float
    slept: bool
    longest: float
    share: float

    @property
    def mean(self) -> float:
        """Seconds per call; for one that has not finished, its age."""
        return self.seconds / self.calls if self.calls else self.longest

    @property
    def blocks_per_call(self) -> float:
        """Shared blocks touched per call, 0 when unknown."""
        return self.blocks / self.calls if self.calls else 0.0

    @property
    def blocks_per_row(self) -> float:
        """Shared blocks touched per row returned or changed."""
        return self.blocks / max(self.rows, self.calls, 1)

    def wasteful(
        self, blocks_per_call: float = 200.0, blocks_per_row: float = 50.0, slow: float = 1.0
    ) -> bool:
        """Reads far more blocks than its rows need, or takes ``slow`` seconds per call."""
        reads_much = self.blocks_per_call >= blocks_per_call
        return (reads_much and self.blocks_per_row >= blocks_per_row) or self.mean >= slow

    def run_by(self, session: Session) -> bool:
        """Whether a session runs it now."""
        return session.active and (session.query_id or session.query) == self.key


def asleep(session: Session) -> bool:
    """Runs a statement, and that waits in pg_sleep: a poller of jobs does so for its pause."""
    return session.active and (session.wait_type, session.wait_event) == ("Timeout", "PgSleep")


def heavy(
    activity: Window[Activity], statements: Window[Statements] | None, *, sleepers: bool = False
) -> list[Heavy]:
    """Return the window's statements, most time first.

    Counters count what finished, samples see what is running: a statement's time is the larger
    of the two, so that one that never ends is not lost. Without counters samples alone decide.
    Those that mostly sleep on purpose are no work, and left out without ``sleepers``.
    """
    counted = _growth(statements)
    sampled = _sampled(activity)
    joined = (_joined(key, counted.get(key), sampled.get(key)) for key in {**counted, **sampled})
    found = [one for one in joined if one.query and (sleepers or not one.slept)]
    total = sum(h.seconds for h in found) or 1.0
    shared = [replace(h, share=h.seconds / total) for h in found]
    return sorted(shared, key=lambda h: -h.seconds)


def _joined(key: str, grown: "_Grown | None", seen: "_Seen | None") -> Heavy:
    counted, sampled = grown or _Grown(""), seen or _Seen("", "")
    return Heavy(
        key=key,
        query=counted.query or sampled.query,
        application=sampled.application,
        seconds=max(counted.seconds, sampled.seconds),
        calls=counted.calls,
        rows=counted.rows,
        blocks=counted.blocks,
        blocked=sampled.blocked,
        slept=sampled.slept * 2 >= sampled.seconds > 0,
        longest=sampled.longest,
        share=0.0,
    )


@dataclass(slots=True)
class _Grown:
    query: str
    calls: int = 0
    seconds: float = 0.0
    rows: int = 0
    blocks: int = 0


def _growth(statements: Window[Statements] | None) -> Mapping[str, _Grown]:
    """What each statement added over the window, by query id; empty without two readings.

    A statement that several roles run has a row for each.
    """
    if statements is None or len(statements) < 2:
        return {}
    before = {s.key: s for s in statements.first.statements}
    grown: dict[str, _Grown] = {}
    for now in statements.last.statements:
        then = before.get(now.key)
        if then is not None and then.calls > now.calls:
            then = None  # reset in between: all of it is new
        if now.calls > (then.calls if then else 0):
            one = grown.setdefault(now.query_id, _Grown(now.query))
            one.calls += now.calls - (then.calls if then else 0)
            one.seconds += now.seconds - (then.seconds if then else 0.0)
            one.rows += now.rows - (then.rows if then else 0)
            one.blocks += now.blocks - (then.blocks if then else 0)
    return grown


@dataclass(slots=True)
class _Seen:
    query: str
    application: str
    seconds: float = 0.0
    waits: float = 0.0
    slept: float = 0.0
    longest: float = 0.0

    @property
    def blocked(self) -> float:
        return self.waits / self.seconds if self.seconds else 0.0


def _sampled(activity: Window[Activity]) -> dict[str, _Seen]:
    """Session-seconds by query id (or text before PostgreSQL 14) from the samples."""
    every = activity.seconds / max(1, len(activity) - 1) if len(activity) > 1 else 1.0
    found: dict[str, _Seen] = {}
    for sample in activity:
        for s in sample.sessions:
            if not (s.active or s.blocked) or not s.query:
                continue
            seen = found.setdefault(s.query_id or s.query, _Seen(s.query, s.label))
            seen.seconds += every
            seen.waits += every * (s.blocked or s.wait_event == "SyncRep")
            seen.slept += every * asleep(s)
            seen.longest = max(seen.longest, s.query_age or 0.0)
    return found


@dataclass(frozen=True, slots=True)
class Candidate:
    """An index that a statement lacks: its table and the columns, most selective order unknown."""

    table: Table
    columns: tuple[str, ...]


def candidate(query: str, tables: Tables | None, pages: int) -> Candidate | None:
    """Return the columns that the statement pins and no index of the table leads with.

    Only for tables of at least ``pages`` pages that nobody locks exclusively; when any pinned
    column already leads an index, none: that is a question for the statement's plan.
    """
    for predicate in equality_predicates(query) if tables else ():
        table = tables.find(predicate.schema, predicate.table) if tables else None
        if table is None or table.locked or table.pages < pages:
            continue
        if not set(predicate.columns) & set(table.leading):
            return Candidate(table, predicate.columns[:3])
    return None


def database_share(server: Server, processes: Window[Processes] | None) -> float:
    """Share of this host's used CPU time that PostgreSQL's processes take; 0 when elsewhere."""
    if not server.local or processes is None:
        return 0.0
    used = cores_by_label(processes)
    total = sum(used.values())
    return used.get("postgres", 0.0) / total if total else 0.0
