"""Joins that compare too much."""

import re
from collections.abc import Iterator

from scaledoctor.plans.problem import Problem, View, count
from scaledoctor.plans.tree import Node
from scaledoctor.sql import conditions

COMPARED = 100_000
"""Pairs compared in vain from which a join lacks an index (pev2's own example: 22 million)."""

_THROUGH = ("Materialize", "Memoize", "Subquery Scan", "Append", "Merge Append", "Gather", "Hash")


def nested_loop_scan(view: View) -> Iterator[Problem]:
    """The inner table is read from end to end for each row of the outer one."""
    for node in view.plan.nodes:
        if node.kind != "Nested Loop" or not node.executed or len(node.children) < 2:
            continue
        inner = _inner(node)
        scan = _through(inner)
        removed = node.number("Rows Removed by Join Filter") * node.loops
        out = node.actual * node.loops
        below = scan.removed * scan.loops if scan.scans_table and scan.loops > 1 else 0.0
        wasted = max(removed, below)
        condition = node.text("Join Filter") or scan.text("Filter")
        if wasted < COMPARED or wasted < 10 * out or not condition:
            continue
        alias = scan.text("Alias")
        found = conditions(condition)
        if (
            re.search(r"\bOR\b", condition)
            and node.text("Join Filter")
            and not any(c.kind == "equal" for c in found)
        ):
            yield Problem(
                "or-across-join", node, f"an OR over two tables compares {count(wasted)} pairs",
                "two joins, one for each side of the OR, put together with UNION",
                view.measure.below(node), 1.2,
            )  # fmt: skip
            continue
        sides = [c for c in found if c.column and alias in ("", c.table)]
        column = next((c.column for c in sides), "its join column")
        where = scan.table or scan.label
        yield Problem(
            "nested-loop-inner-scan", node,
            f"{count(wasted)} rows of {where} are compared in vain, because it is "
            f"read whole {count(inner.loops)} times",
            f"an index on {where} for {column}",
            min(1.0, view.measure.share(node) + view.measure.below(inner)), 1.2,
        )  # fmt: skip


def _inner(node: Node) -> Node:
    return next((c for c in node.children if c.role == "Inner"), node.children[-1])


def _through(node: Node) -> Node:
    while node.kind in _THROUGH and node.children:
        node = node.children[0]
    return node


def blow_up(view: View) -> Iterator[Problem]:
    """Far more rows come out of the outer side than the planner thought when it chose a loop."""
    for node in view.plan.nodes:
        if node.kind != "Nested Loop" or not node.executed or len(node.children) < 2:
            continue
        outer, inner = node.children[0], _inner(node)
        if inner.loops < 1000 or outer.actual < 10 * max(outer.rows, 1.0):
            continue
        # What rounds to 0.000 ms a run is found in the loop's own time.
        below = min(1.0, view.measure.below(inner) + view.measure.share(node))
        if below >= 0.3:
            kinds = [n.kind for n in outer.walk()]
            yield Problem(
                *_named(kinds), node,
                f"{outer.label} gives {count(outer.actual)} rows where {count(outer.rows)} were "
                f"expected, so {_through(inner).label} is run {count(inner.loops)} times",
                _remedy(outer, kinds), below, 1.0,
            )  # fmt: skip


def _named(kinds: list[str]) -> tuple[str]:
    special = ("CTE Scan", "Function Scan", "WorkTable Scan")
    return ("cte-misestimate-nested-loop" if kinds[0] in special else "nested-loop-blowup",)


def _remedy(outer: Node, kinds: list[str]) -> str:
    if kinds[0] == "Function Scan":
        return f"ALTER FUNCTION {outer.text('Function Name')} ROWS {outer.actual:.0f}"
    if kinds[0] in ("CTE Scan", "WorkTable Scan"):
        return "put the CTE's rows into a temporary table and ANALYZE it"
    tables = list(dict.fromkeys(n.table for n in outer.walk() if n.table))
    return f"ANALYZE {', '.join(tables)}; where that does not mend the estimate: CREATE STATISTICS"


def cartesian(view: View) -> Iterator[Problem]:
    """Each row of one side meets each of the other: a condition is missing."""
    for node in view.plan.nodes:
        if node.kind != "Nested Loop" or len(node.children) < 2 or node.text("Join Filter"):
            continue
        outer, inner = node.children[0], _inner(node)
        if not (view.plan.analysed and node.executed) or node.actual * node.loops < 10_000:
            continue
        if outer.actual <= 1 or inner.actual <= 1 or node.text("Join Type") != "Inner":
            continue
        if not _parameterised(inner, outer):
            yield Problem(
                "cartesian-product", node,
                f"{count(outer.actual)} times {count(inner.actual)} rows: "
                f"nothing joins {_through(outer).label} with {_through(inner).label}",
                "the ON condition that is missing", view.measure.below(node), 1.2,
            )  # fmt: skip


def _parameterised(inner: Node, outer: Node) -> bool:
    """Whether the inner side asks for a value of the outer one."""
    names = {n.text("Alias") for n in outer.walk() if n.text("Alias")}
    for node in inner.walk():
        if node.kind == "Function Scan" or node.kind == "Memoize":
            return True
        for key in ("Index Cond", "Filter", "Recheck Cond", "TID Cond", "One-Time Filter"):
            if any(re.search(rf'(?<!\w)"?{re.escape(n)}"?\.', node.text(key)) for n in names):
                return True
    return False


def memoize(view: View) -> Iterator[Problem]:
    """The cache in front of the inner side throws away what it is asked for next."""
    for node in view.plan.nodes:
        evicted = node.number("Cache Evictions") + node.number("Cache Overflows")
        if node.kind == "Memoize" and evicted > max(node.number("Cache Hits"), 1000.0):
            yield Problem(
                "memoize-thrash", node,
                f"the cache of {_through(node).label} evicts {count(evicted)} times and "
                f"hits {count(node.number('Cache Hits'))} times",
                "more work_mem for this statement", view.measure.below(node), 0.7,
            )  # fmt: skip


RULES = (nested_loop_scan, blow_up, cartesian, memoize)
