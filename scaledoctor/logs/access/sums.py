"""Sums of requests by outcome and by try: what two halves of a log can merge."""

from dataclasses import dataclass, field

from scaledoctor.logs.histogram import Histogram

MOST_OUTCOMES = 256
"""Status, address and answer of one route that are told apart; enough for 64 servers."""

UNKNOWN = b"?"

Outcome = tuple[bytes, bytes, bytes]
"""Status, upstream address or addresses, upstream answer or answers."""


@dataclass(slots=True)
class Sums:
    """Requests of one outcome: how many, their seconds, and the upstream's."""

    count: int = 0
    total: float = 0.0
    spent: float = 0.0
    several: bool = False

    def merge(self, other: "Sums") -> None:
        """Add another one."""
        self.count += other.count
        self.total += other.total
        self.spent += other.spent


@dataclass(slots=True)
class Tries:
    """What one address did in requests that took several tries."""

    count: int = 0
    failed: int = 0
    spent: float = 0.0

    def merge(self, other: "Tries") -> None:
        """Add another one."""
        self.count += other.count
        self.failed += other.failed
        self.spent += other.spent


@dataclass(slots=True)
class Routed:
    """The requests of one route; ``tries`` is about those alone that took several."""

    outcomes: dict[Outcome, Sums] = field(default_factory=dict)
    tries: dict[bytes, Tries] = field(default_factory=dict)
    total: Histogram = field(default_factory=Histogram)
    spent: Histogram = field(default_factory=Histogram)

    @property
    def requests(self) -> int:
        """How many there were."""
        return sum(sums.count for sums in self.outcomes.values())

    def merge(self, other: "Routed") -> None:
        """Add the requests of another one."""
        for outcome, sums in other.outcomes.items():
            self.outcomes.setdefault(self.room(outcome), Sums(several=sums.several)).merge(sums)
        for address, tries in other.tries.items():
            self.tries.setdefault(address, Tries()).merge(tries)
        self.total.update(other.total)
        self.spent.update(other.spent)

    def room(self, outcome: Outcome) -> Outcome:
        """The outcome itself, or without its address when there are too many."""
        if outcome in self.outcomes or len(self.outcomes) < MOST_OUTCOMES:
            return outcome
        return outcome[0][:3], UNKNOWN, UNKNOWN


def is_error(outcome: Outcome) -> bool:
    """Whether the client got an answer of 500 or above."""
    return outcome[0][:1] == b"5" and len(outcome[0]) == 3


def is_failure(answer: bytes) -> bool:
    """Whether one try went wrong: an error, or no answer."""
    return answer[:1] == b"5" or answer == b"-"


def is_server(address: bytes) -> bool:
    """Whether an address names a server; nginx and HAProxy write other words when there is none."""
    return b":" in address or (b"/" in address and not address.endswith(b"<NOSRV>"))
