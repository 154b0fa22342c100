"""Indexes that are read, and do not narrow enough."""

import re
from collections.abc import Iterator

from scaledoctor.plans.problem import Problem, View, count
from scaledoctor.plans.tree import Node
from scaledoctor.sql import conditions

WASTE = 0.9
"""Share of rows removed behind an index from which the index is the wrong one (pev2's high)."""

REMOVED = 1000
"""Rows removed in all below which nobody notices."""

_SCANS = ("Index Scan", "Index Only Scan", "Bitmap Heap Scan")


def index_waste(view: View) -> Iterator[Problem]:
    """An index finds many rows that a filter then throws away."""
    for node in view.plan.nodes:
        if node.kind not in _SCANS or not node.executed or not view.plan.analysed:
            continue
        removed = node.removed * node.loops
        kept = node.actual * node.loops
        share = removed / (removed + kept) if removed else 0.0
        if removed < REMOVED or share < WASTE or "SubPlan" in node.text("Filter"):
            continue
        columns = dict.fromkeys(c.column for c in conditions(node.text("Filter")) if c.column)
        limit = next((n for n in view.above(node) if n.kind == "Limit"), None)
        wanted = ", ".join(columns) or "its filter"
        if limit is not None and view.stops_early(node) and not _narrows(node):
            yield Problem(
                "wrong-index-for-order-by-limit", node,
                f"{_index(node)} is walked in order and {count(removed)} rows are thrown away "
                f"before {count(limit.actual)} are found",
                f"an index that begins with {wanted} and goes on with the sort columns",
                view.measure.below(node) * share, 1.1,
            )  # fmt: skip
            continue
        yield Problem(
            "index-filter-waste", node,
            f"{_index(node)} finds {count(removed + kept)} rows and a filter throws "
            f"{share:.0%} of them away",
            f"an index that also has {wanted}", view.measure.below(node) * share,
        )  # fmt: skip


def _narrows(node: Node) -> bool:
    """Whether it has a condition of its own, so that it does not walk all of the index."""
    return bool(node.text("Index Cond"))


def _index(node: Node) -> str:
    below = next((n.index for n in node.walk() if n.index), "")
    return f"index {below} of {node.table}" if below else f"the index of {node.table}"


def heap_fetches(view: View) -> Iterator[Problem]:
    """An index-only scan looks into the table for what the visibility map does not know."""
    for node in view.plan.nodes:
        fetched, rows = node.number("Heap Fetches"), node.actual * node.loops
        if fetched >= 1000 and fetched >= 0.05 * rows:
            yield Problem(
                "ios-heap-fetches", node,
                f"the index-only scan on {node.table} still fetches {count(fetched)} rows "
                "from the table",
                f"VACUUM {node.table}; then autovacuum_vacuum_insert_scale_factor lower for it, "
                "and no transaction left open for long",
                view.measure.share(node) * min(1.0, fetched / max(rows, 1.0)),
            )  # fmt: skip


def lossy_bitmap(view: View) -> Iterator[Problem]:
    """A bitmap did not fit, so that whole pages are checked again."""
    for node in view.plan.nodes:
        lossy = node.number("Lossy Heap Blocks")
        removed = node.number("Rows Removed by Index Recheck")
        summary_only = any(n.kind == "Bitmap Index Scan" and "brin" in n.index for n in node.walk())
        if lossy and removed >= 0.5 * max(node.actual, 1.0) and not summary_only:
            yield Problem(
                "bitmap-lossy", node,
                f"the bitmap of {node.table} did not fit: {count(lossy)} whole pages, "
                f"{count(removed * node.loops)} rows checked in vain",
                "more work_mem for this statement",
                view.measure.share(node), 0.9,
            )  # fmt: skip


def offset(view: View) -> Iterator[Problem]:
    """Pages far behind are found by counting through all before them."""
    for node in view.plan.nodes:
        if node.kind != "Limit" or not node.children or not view.plan.analysed:
            continue
        below, got = node.children[0].actual, node.actual
        skips = not view.query or re.search(r"\boffset\b|\bfetch\b", view.query, re.I)
        if below >= 10_000 and below >= 10 * max(got, 1.0) and skips:
            yield Problem(
                "offset-pagination", node,
                f"{count(below)} rows are read in order to return {count(got)}",
                "ask for what comes behind the last row seen: WHERE (sort, id) > (...) "
                "ORDER BY sort, id LIMIT n",
                view.measure.below(node) * (1 - got / below), 1.2,
            )  # fmt: skip


RULES = (index_waste, heap_fetches, lossy_bitmap, offset)
