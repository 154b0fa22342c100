"""Where a plan's time goes: what each node takes itself, so that all of it sums to the root.

Times of EXPLAIN are means per loop and contain all that is below; processes run side by side; a
CTE and an InitPlan run within whoever asks for them first.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from scaledoctor.plans.tree import Node, Plan

ROUNDING = 0.0005
"""Milliseconds that a time per loop is off at most: EXPLAIN prints three decimals."""


@dataclass(frozen=True, slots=True)
class Share:
    """One node: ``total`` with all below it, ``own`` without, ``error`` of own, in the unit."""

    total: float
    own: float
    error: float
    processes: float


@dataclass(frozen=True, slots=True)
class Measure:
    """What was measured in a plan: ``unit`` is ms, blocks (TIMING OFF) or cost (not run)."""

    unit: str
    total: float
    shares: Mapping[Node, Share]

    def share(self, node: Node) -> float:
        """The node's own part of the whole, 0 to 1."""
        return min(1.0, self.shares[node].own / self.total) if self.total > 0 else 0.0

    def below(self, node: Node) -> float:
        """The part of the whole of the node and all below it, 0 to 1."""
        return min(1.0, self.shares[node].total / self.total) if self.total > 0 else 0.0

    def noisy(self, node: Node) -> bool:
        """Whether rounding could explain half of what the node seems to take itself."""
        return self.shares[node].error > self.shares[node].own / 2


def measure(plan: Plan) -> Measure:
    """Each node's share: of time where it was taken, else of blocks, else of estimated cost."""
    nodes = plan.nodes
    if plan.timed:
        return _timed(plan, nodes)
    if plan.analysed and plan.root.blocks:
        return _summed("blocks", nodes, {node: node.blocks for node in nodes})
    return _summed("cost", nodes, {node: node.number("Total Cost") for node in nodes})


def _summed(unit: str, nodes: list[Node], totals: Mapping[Node, float]) -> Measure:
    """Quantities that already are totals; a LIMIT may cost less than what it stops."""
    shares = {}
    for node in nodes:
        own = totals[node] - sum(totals[child] for child in node.children)
        shares[node] = Share(totals[node], max(own, 0.0), 0.0, 1.0)
    return Measure(unit, max(totals[nodes[0]], 0.0), shares)


def _timed(plan: Plan, nodes: list[Node]) -> Measure:
    processes = _processes(plan.root)
    total = {n: n.number("Actual Total Time") * n.loops / processes[n] for n in nodes}
    error = {n: ROUNDING * n.loops / processes[n] for n in nodes}
    own = {
        n: total[n] - sum(total[c] for c in n.children if not (c.is_cte or c.is_init))
        for n in nodes
    }
    owner = {child: node for node in nodes for child in node.children}
    _take_ctes(nodes, total, own, owner)
    _take_inits(nodes, total, own, owner)
    shares = {
        n: Share(total[n], max(own[n], 0.0), error[n] + sum(error[c] for c in n.children),
                 processes[n])
        for n in nodes
    }  # fmt: skip
    return Measure("ms", max(plan.execution, total[plan.root]), shares)


def _processes(root: Node) -> dict[Node, float]:
    """How many processes ran a node side by side: its loops for each loop of the Gather above."""
    found: dict[Node, float] = {root: 1.0}
    for node in root.walk():
        for child in node.children:
            found[child] = found[node]
            if child.role == "InitPlan":
                found[child] = 1.0
            elif node.kind in ("Gather", "Gather Merge"):
                each = (child.loops or 1.0) / max(node.loops, 1.0)
                found[child] = max(found[node] * each, 1.0)
    return found


def _take_ctes(
    nodes: list[Node],
    total: Mapping[Node, float],
    own: dict[Node, float],
    owner: Mapping[Node, Node],
) -> None:
    """Take a CTE's time from the scans that waited for it, in proportion to what they took."""
    for cte in (n for n in nodes if n.is_cte):
        name = cte.text("Subplan Name").removeprefix("CTE ")
        scans = [n for n in nodes if n.kind == "CTE Scan" and n.text("CTE Name") == name]
        waited = {n: max(own[n], 0.0) for n in scans}
        spent = sum(waited.values())
        for node in scans:
            own[node] -= total[cte] * waited[node] / spent if spent else 0.0
        if not scans and own[owner[cte]] >= total[cte]:  # a CTE that changes rows, run at the end
            own[owner[cte]] -= total[cte]


def _take_inits(
    nodes: list[Node],
    total: Mapping[Node, float],
    own: dict[Node, float],
    owner: Mapping[Node, Node],
) -> None:
    """Take an InitPlan's time once, from the node that first asked for its value."""
    for init in (n for n in nodes if n.is_init):
        inside = set(init.walk())
        pattern = _asks_for(init.text("Subplan Name"))
        users = [
            n
            for n in nodes
            if n not in inside and pattern and pattern.search(_expressions(n))
            and own[n] >= 0.9 * total[init]
        ]  # fmt: skip
        own[max(users, key=lambda n: own[n], default=owner[init])] -= total[init]


def _asks_for(name: str) -> re.Pattern[str] | None:
    """What names an InitPlan's value in an expression: ``$0`` up to 16, ``(InitPlan 1).col1``."""
    match = re.match(r"InitPlan (\d+)(?: \(returns (.*)\))?$", name)
    if match is None:
        return None
    words = [rf"InitPlan {match[1]}(?!\d)"]
    words += [rf"{re.escape(word.strip())}(?!\d)" for word in (match[2] or "").split(",") if word]
    return re.compile("|".join(words))


def _expressions(node: Node) -> str:
    skipped = ("Subplan Name", "Plans", "Parent Relationship")
    return " ".join(node.text(key) for key in node.details if key not in skipped)
