"""What a part of a log says, so that it can be merged with the part behind it."""

from dataclasses import dataclass, field

from scaledoctor.logs.nplusone.runs import Runs
from scaledoctor.logs.sql.sessions import Event, State
from scaledoctor.logs.sql.sums import (
    MOST_GROUPS,
    OTHER,
    Minute,
    Problem,
    Sample,
    Server,
    Statement,
    slowest,
)
from scaledoctor.logs.sql.times import bucket

MOST_OPEN = 50_000
"""Sessions that may leave something open; those that are left out lose a parse or bind."""


@dataclass(slots=True)
class Partial:
    """All that a part of a log says; to merge two is the same as to read both as one.

    ``heads`` are the first lines of each session, up to the first that needs nothing from before
    it; ``tails`` what its last lines leave open. ``whole`` says that nothing comes before this
    part, so that no head waits. ``runs`` is the N+1 detector's: it alone sees the first execution
    of a part without a parse or bind that stands in the part before, some microseconds.
    """

    lines: int = 0
    unread: int = 0
    entries: int = 0
    bytes: int = 0
    first: float = 0.0
    last: float = 0.0
    calls: int = 0
    statements: dict[str, Statement] = field(default_factory=dict)
    problems: dict[str, Problem] = field(default_factory=dict)
    minutes: dict[int, Minute] = field(default_factory=dict)
    server: Server = field(default_factory=Server)
    heads: dict[str, list[Event]] = field(default_factory=dict)
    tails: dict[str, State] = field(default_factory=dict)
    runs: Runs = field(default_factory=Runs)
    whole: bool = False

    def __post_init__(self) -> None:
        """The detector needs to know too."""
        self.runs.whole |= self.whole

    @property
    def understood(self) -> float:
        """Share of the lines that were read."""
        return 1 - self.unread / self.lines if self.lines else 1.0

    def merge(self, later: "Partial") -> None:
        """Add the part behind this one, which must not be used afterwards."""
        for name in ("lines", "unread", "entries", "bytes", "calls"):
            setattr(self, name, getattr(self, name) + getattr(later, name))
        self.first = min(filter(None, (self.first, later.first)), default=0.0)
        self.last = max(self.last, later.last)
        for name, statement in later.statements.items():
            self.statement(name).merge(statement)
        for problem in later.problems.values():
            self.problem(problem.severity, problem.sqlstate, problem.message).merge(problem)
        for number, minute in later.minutes.items():
            self.minute(number).merge(minute)
        self.server.merge(later.server)
        self.runs.merge(later.runs)
        self._join(later)

    def finish(self) -> None:
        """Take all that is open as it is: nothing comes before it or behind it."""
        heads, self.heads = self.heads, {}
        known, self.tails = self.tails, {}
        for session, events in heads.items():
            state = State()
            for event in events:
                state.step(event, self.emit)
            if session not in known:
                state.flush(self.emit)
        for state in known.values():
            state.flush(self.emit)
        self.runs.finish()
        self.whole = True

    def _join(self, later: "Partial") -> None:
        """Let the first lines of each session follow on what its last ones here left open."""
        for session, events in later.heads.items():
            state = self.tails.pop(session, None)
            if state is None and not self.whole:
                self.heads.setdefault(session, []).extend(events)
                continue
            state = state or State()
            for event in events:
                state.step(event, self.emit)
            if session not in later.tails and not (self.whole and state.clean):
                self.tails[session] = state
        for session, state in later.tails.items():
            if not (self.whole and state.clean):
                self.tails[session] = state
        while len(self.tails) > MOST_OPEN and self.whole:
            self.tails.pop(next(iter(self.tails))).flush(self.emit)

    def statement(self, name: str) -> Statement:
        """The sums of a template."""
        found = self.statements.get(name)
        if found is None:
            found = self.statements[name] = Statement()
        return found

    def problem(self, severity: str, sqlstate: str, message: str) -> Problem:
        """The sums of a kind of message, or of the rest when there are too many kinds."""
        key = f"{severity} {sqlstate} {message}"
        if key not in self.problems and len(self.problems) >= MOST_GROUPS:
            sqlstate, message, key = "", OTHER, f"{severity} {OTHER}"
        found = self.problems.get(key)
        if found is None:
            found = self.problems[key] = Problem(severity, sqlstate, message)
        return found

    def minute(self, number: int) -> Minute:
        """What a minute saw, by its number since 1970."""
        found = self.minutes.get(number)
        if found is None:
            found = self.minutes[number] = Minute()
        return found

    def emit(self, call: Event) -> None:
        """Count one complete execution."""
        statement = self.statement(call.template)
        minute = self.minute(int(call.when) // 60)
        self.calls += 1
        statement.count += 1
        minute.calls += 1
        if call.micros < 0:
            return
        minute.micros += call.micros
        statement.timed += 1
        statement.micros += call.micros
        statement.most = max(statement.most, call.micros)
        statement.times[bucket(call.micros)] += 1
        sample = Sample(call.micros, call.when, call.application, call.text, call.parameters)
        statement.samples = slowest([*statement.samples, sample])
