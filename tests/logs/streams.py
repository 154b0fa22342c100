"""Statements as a log would tell them, for the tests of the N+1 detector."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from scaledoctor.logs.nplusone.found import Found
from scaledoctor.logs.nplusone.runs import Runs
from scaledoctor.logs.sql.calls import Call, Unit
from scaledoctor.logs.sql.templates import Templates

ORDERS = "SELECT id, customer_id FROM orders WHERE status = 'new'"
CUSTOMER = "SELECT * FROM customer WHERE id = {}"


@dataclass
class Stream:
    """Makes calls in log order; ``at`` is now, in seconds."""

    unit: Unit = Unit.SESSION
    key: str = "s1"
    at: float = 1000.0
    templates: Templates = field(default_factory=Templates)
    calls: list[Call] = field(default_factory=list)

    def run(
        self,
        *texts: str,
        gap: float = 0.001,
        seconds: float | None = 0.0005,
        parameters: str = "",
        tag: str = "",
        key: str = "",
        line: str = "",
    ) -> "Stream":
        """One statement after the other, each ``gap`` seconds after the one before."""
        for text in texts:
            self.at += gap + (seconds or 0.0)
            raw, name = text.encode(), (key or self.key).encode()
            number = self.templates.number(raw)
            self.calls.append(
                Call(self.unit, name, name, b"web", number, raw, parameters.encode(), self.at,
                     seconds, tag.encode(), line.encode())
            )  # fmt: skip
        return self

    def rest(self, seconds: float = 1.0) -> "Stream":
        """Say nothing for a while."""
        self.at += seconds
        return self

    def page(self, n: int, child: str = CUSTOMER, parent: str = ORDERS, first: int = 1) -> "Stream":
        """A list, and ``n`` statements for its rows."""
        self.run(parent)
        return self.run(*(child.format(first + i) for i in range(n)))

    def runs(self, *, show: bool = False) -> Runs:
        """All of it fed to a detector."""
        return fed(self.calls, self.templates.names, show=show).finish()

    def found(self) -> list[Found]:
        """What a detector finds, the largest first."""
        return sorted(self.runs().found.values(), key=lambda f: -f.calls)


def fed(calls: Iterable[Call], names: list[bytes], *, show: bool = False) -> Runs:
    """A detector that has seen these calls, unfinished."""
    runs = Runs(names, show=show)
    for call in calls:
        runs.feed(call)
    return runs


def pieces(calls: Sequence[Call], cuts: Iterable[int]) -> Iterator[Sequence[Call]]:
    """The calls cut at these places."""
    edges = [0, *sorted(set(cuts)), len(calls)]
    return (calls[a:b] for a, b in pairwise(edges))
