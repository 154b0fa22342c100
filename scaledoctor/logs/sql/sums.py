"""Sums of a log that two halves of it can merge; times are whole microseconds, so exact."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import nsmallest

from scaledoctor.logs.sql.times import Histogram

MOST_SAMPLES = 3
"""Slow executions that are kept of each statement."""

MOST_GROUPS = 1000
"""Errors, tables or owners that are told apart; the rest is one."""

OTHER = "(other)"


@dataclass(slots=True)
class Sample:
    """One slow execution; ``text`` and ``parameters`` only when literals may be shown."""

    micros: int
    when: float
    application: str = ""
    text: str = ""
    parameters: str = ""

    @property
    def order(self) -> tuple[int, float, str, str, str]:
        """The slowest first, else the earliest: the same whatever was merged first."""
        return -self.micros, self.when, self.application, self.text, self.parameters


def slowest(samples: Iterable[Sample]) -> list[Sample]:
    """The few slowest of some samples."""
    return nsmallest(MOST_SAMPLES, samples, key=lambda s: s.order)


@dataclass(slots=True)
class Statement:
    """The executions of one template.

    ``timed`` of ``count`` have a time; ``parts`` is the time of parse and bind, and of fetches,
    that no execution could be given, ``micros`` the time of all. ``temp`` are bytes of temporary
    files, ``waits`` of ``waited`` microseconds for locks.
    """

    count: int = 0
    timed: int = 0
    micros: int = 0
    most: int = 0
    temp_files: int = 0
    temp_bytes: int = 0
    waits: int = 0
    waited: int = 0
    errors: int = 0
    times: Histogram = field(default_factory=Histogram)
    samples: list[Sample] = field(default_factory=list)

    def merge(self, other: "Statement") -> None:
        """Add the executions of another half."""
        self.count += other.count
        self.timed += other.timed
        self.micros += other.micros
        self.most = max(self.most, other.most)
        self.temp_files += other.temp_files
        self.temp_bytes += other.temp_bytes
        self.waits += other.waits
        self.waited += other.waited
        self.errors += other.errors
        self.times.update(other.times)
        self.samples = slowest([*self.samples, *other.samples])


@dataclass(slots=True)
class Problem:
    """Messages of one kind: errors, FATALs and warnings, by SQLSTATE and words."""

    severity: str
    sqlstate: str
    message: str
    count: int = 0
    first: float = 0.0
    last: float = 0.0

    def merge(self, other: "Problem") -> None:
        """Add the messages of another half."""
        times = [t for t in (self.first, other.first) if t]
        self.count += other.count
        self.first = min(times, default=0.0)
        self.last = max(self.last, other.last)


@dataclass(slots=True)
class Minute:
    """What one minute saw."""

    calls: int = 0
    micros: int = 0
    problems: int = 0
    connections: int = 0

    def merge(self, other: "Minute") -> None:
        """Add what another half saw of it."""
        self.calls += other.calls
        self.micros += other.micros
        self.problems += other.problems
        self.connections += other.connections


@dataclass(slots=True)
class Vacuum:
    """What autovacuum did to one table."""

    vacuums: int = 0
    analyzes: int = 0
    micros: int = 0

    def merge(self, other: "Vacuum") -> None:
        """Add another half."""
        self.vacuums += other.vacuums
        self.analyzes += other.analyzes
        self.micros += other.micros


@dataclass(slots=True)
class Server:
    """What the server says of itself: locks, files, checkpoints, connections.

    ``lock_waits`` lasted longer than deadlock_timeout; ``waited`` is the time of those that got
    their lock. ``sessions`` are the lengths of sessions that ended, as a histogram.
    """

    lock_waits: int = 0
    locks_acquired: int = 0
    waited: int = 0
    longest_wait: int = 0
    temp_files: int = 0
    temp_bytes: int = 0
    largest_temp: int = 0
    checkpoints: dict[str, int] = field(default_factory=dict)
    checkpoint_micros: int = 0
    longest_sync: int = 0
    buffers: int = 0
    too_frequent: int = 0
    vacuums: dict[str, Vacuum] = field(default_factory=dict)
    connections: int = 0
    authorized: int = 0
    disconnections: int = 0
    by_owner: dict[str, int] = field(default_factory=dict)
    sessions: Histogram = field(default_factory=Histogram)

    def merge(self, other: "Server") -> None:
        """Add another half."""
        for name in _ADDED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _LARGEST:
            setattr(self, name, max(getattr(self, name), getattr(other, name)))
        add(self.checkpoints, other.checkpoints)
        add(self.by_owner, other.by_owner)
        for table, vacuum in other.vacuums.items():
            self.vacuums.setdefault(room(self.vacuums, table), Vacuum()).merge(vacuum)
        self.sessions.update(other.sessions)


_ADDED = (
    "lock_waits", "locks_acquired", "waited", "temp_files", "temp_bytes", "checkpoint_micros",
    "buffers", "too_frequent", "connections", "authorized", "disconnections",
)  # fmt: skip
_LARGEST = ("longest_wait", "largest_temp", "longest_sync")


def room(table: dict[str, object] | dict[str, int] | dict[str, Vacuum], key: str) -> str:
    """The key itself, or the one of the rest when there are too many."""
    return key if key in table or len(table) < MOST_GROUPS else OTHER


def add(counts: dict[str, int], others: dict[str, int]) -> None:
    """Add counts to counts."""
    for key, count in others.items():
        kept = room(counts, key)
        counts[kept] = counts.get(kept, 0) + count
