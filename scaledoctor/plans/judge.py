"""Which problems of a plan are worth a word: at most three, the one that causes most first."""

from scaledoctor.plans.problem import Problem, View
from scaledoctor.plans.rules import RULES
from scaledoctor.plans.times import measure
from scaledoctor.plans.tree import Plan

SHARE = 0.05
"""Least share of the plan's time that a problem must cost."""

LEAST_MS = 5.0
"""Milliseconds below which nothing is worth a word."""

MOST = 3
"""Problems told of one plan: pgMustard found that readers act on three at most."""

_SAME = ({"correlated-subplan", "unhashed-subplan"}, {"nested-loop-inner-scan"})


def view_of(plan: Plan, query: str = "") -> View:
    """The plan with all that the rules look at."""
    owner = {child: node for node in plan.nodes for child in node.children}
    return View(plan, measure(plan), owner, query or plan.query)


def judge(plan: Plan, query: str = "", *, least_ms: float = LEAST_MS) -> tuple[Problem, ...]:
    """The plan's problems, the primary one first; none for a plan that only was estimated."""
    view = view_of(plan, query)
    found = [p for rule in RULES for p in rule(view) if _counts(view, p, least_ms)]
    found.sort(key=lambda p: -p.score)
    kept: list[Problem] = []
    for problem in found:
        if not any(_same(problem, other, view) for other in kept):
            kept.append(problem)
    return tuple(kept[:MOST])


def _counts(view: View, problem: Problem, least_ms: float) -> bool:
    spent = problem.impact * view.measure.total
    planning = problem.id == "planning-time"
    enough = view.measure.unit != "ms" or spent >= least_ms or planning
    return problem.impact >= SHARE and enough


def _same(problem: Problem, other: Problem, view: View) -> bool:
    """Whether it is a part or a consequence of one that is told already."""
    if problem.node is other.node and problem.id != "settings-forced":
        whole = problem.node is view.plan.root and problem.id != other.id
        return not whole
    inside = problem.node in set(other.node.walk())
    return problem.id == other.id or (inside and any(other.id in ids for ids in _SAME))
