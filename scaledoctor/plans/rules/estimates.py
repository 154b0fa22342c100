"""Estimates that are wrong where they begin."""

from collections.abc import Iterator

from scaledoctor.plans.problem import Problem, View, count
from scaledoctor.plans.tree import Node

FACTOR = 100.0
"""Times too many or too few rows from which the plan may be another one (pev2's middle level)."""

ROWS = 100.0
"""Rows of the larger side below which a wrong factor changes nothing."""

_INHERITS = ("Gather", "Gather Merge", "Hash", "Sort", "Materialize", "Memoize", "Limit", "Unique",
             "Incremental Sort", "Append", "Merge Append", "Subquery Scan", "WindowAgg",
             "LockRows", "Bitmap Index Scan", "BitmapAnd", "BitmapOr", "ModifyTable", "Result",
             "ProjectSet", "WorkTable Scan", "Recursive Union")  # fmt: skip


def misestimate(view: View) -> Iterator[Problem]:
    """The planner expected far more or far fewer rows than there are."""
    if not view.plan.analysed:
        return
    wrong = {n: f for n in view.plan.nodes if (f := _factor(n)) and _counts(view, n, f)}
    for node, factor in wrong.items():
        if node.kind in _INHERITS or any(n in wrong for n in node.walk() if n is not node):
            continue
        over = factor < 1
        upper = view.above(node)[:1]
        share = view.measure.below(upper[0]) if upper else view.measure.below(node)
        yield Problem(
            "row-misestimate-over" if over else "row-misestimate-under", node,
            f"{node.label} gives {count(node.actual)} rows where {count(node.rows)} were expected",
            _remedy(node), share, 0.25,
        )  # fmt: skip


def _factor(node: Node) -> float:
    """Actual over estimated rows, at least 100 times off; 0 when right, never run or few."""
    most = max(node.rows, node.actual)
    if not node.executed or most < ROWS:
        return 0.0
    factor = max(node.actual, 0.5 / node.loops if node.actual == 0 else 0.0) / max(node.rows, 1.0)
    return factor if factor >= FACTOR or factor <= 1 / FACTOR else 0.0


def _counts(view: View, node: Node, factor: float) -> bool:
    """An estimate that is too high is right where something above stops early."""
    return factor > 1 or not (view.stops_early(node) or node.role in ("SubPlan", "InitPlan"))


def _remedy(node: Node) -> str:
    if node.table:
        many = " AND " in node.text("Filter") + node.text("Index Cond") + node.text("Recheck Cond")
        more = f"; then CREATE STATISTICS on the columns that {node.table} is filtered by"
        return f"ANALYZE {node.table}{more if many else ''}"
    return "ANALYZE its tables; CREATE STATISTICS where several columns go together"


RULES = (misestimate,)
