"""A problem of a plan, and what its rules look at."""

from collections.abc import Mapping
from dataclasses import dataclass

from scaledoctor.plans.times import Measure
from scaledoctor.plans.tree import Node, Plan


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that costs the plan time.

    ``id`` is kebab-case and stable. ``impact`` is the share (0..1) of the plan's time, blocks or
    cost that goes away with it. ``causal`` weighs it against others of the same time: a spill
    that an estimate caused is worth less than the estimate. ``node`` is where it was seen.
    """

    id: str
    node: Node
    summary: str
    remedy: str
    impact: float
    causal: float = 1.0

    @property
    def score(self) -> float:
        """What it is ranked by."""
        return self.impact * self.causal


@dataclass(frozen=True, slots=True)
class View:
    """A plan with its measure; ``owner`` maps each node to the one above it."""

    plan: Plan
    measure: Measure
    owner: Mapping[Node, Node]
    query: str = ""

    def above(self, node: Node) -> list[Node]:
        """All nodes above one, the nearest first."""
        found: list[Node] = []
        while node in self.owner:
            node = self.owner[node]
            found.append(node)
        return found

    def stops_early(self, node: Node) -> bool:
        """Whether something above may stop asking, so that fewer rows than estimated are right."""
        below = node
        for upper in self.above(node):
            if upper.kind in ("Limit", "Merge Join") or (
                upper.text("Join Type") in ("Semi", "Anti") and below.role == "Inner"
            ):
                return True
            if upper.kind in ("Sort", "Aggregate", "Hash", "Materialize"):
                return False
            below = upper
        return False

    def partial(self, node: Node) -> bool:
        """Whether what it reads is cut short by a LIMIT: then its rows say nothing of waste."""
        return self.stops_early(node)


def count(number: float) -> str:
    """A number of rows or loops for people: 1,234 or 12.3 million."""
    return f"{number:,.0f}" if number < 1e6 else f"{number / 1e6:,.1f} million"
