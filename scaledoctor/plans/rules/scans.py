"""Tables read from end to end, and what is read in vain."""

from collections.abc import Iterator

from scaledoctor.plans.problem import Problem, View, count
from scaledoctor.plans.tree import Node
from scaledoctor.sql import Condition, conditions

READ = 10_000
"""Rows read in all below which a scan is never the problem (pganalyze's Slow Scan asks more)."""

KEPT = 0.1
"""Share of rows kept up to which an index beats a scan clearly; above 0.3 it rarely does."""

KEPT_AT_MOST = 0.3

ELEMENTS = 100
"""Elements of an IN list from which it belongs in a table of its own."""


def selective_scan(view: View) -> Iterator[Problem]:
    """A table is read whole for few of its rows."""
    for node in view.plan.nodes:
        if not (node.scans_table and node.executed and node.text("Filter")):
            continue
        if not view.plan.analysed or "SubPlan" in node.text("Filter"):
            continue  # a comparison with a subplan's rows is not served by an index
        kept, read = node.actual, node.actual + node.removed
        share, total = kept / read if read else 1.0, read * node.loops
        own = view.measure.share(node)
        if total < READ or share > (KEPT_AT_MOST if own > 0.9 else KEPT):
            continue
        if node.removed < 100 and node.loops > 1:
            continue  # a table of a page or two, read again and again: the join's problem
        yield _scan(node, own * (1 - share), total, kept * node.loops)


def _scan(node: Node, impact: float, read: float, kept: float) -> Problem:
    each = f"reads {count(read)} rows of {node.table} and keeps {count(kept)}"
    found = conditions(node.text("Filter"))
    wrapped = next((c for c in found if c.column and (c.function or c.cast)), None)
    if (
        found
        and all(c.kind in ("pattern", "other") for c in found)
        and any(c.kind == "pattern" for c in found)
    ):
        column = next(c.column for c in found if c.kind == "pattern")
        return Problem(
            "leading-wildcard", node, f"a pattern without a fixed beginning on {column}: {each}",
            f"a trigram index: CREATE EXTENSION pg_trgm; then GIN ({column} gin_trgm_ops)", impact,
        )  # fmt: skip
    plain = any(c.kind in ("equal", "range", "prefix", "null") and not c.function and not c.cast
                for c in found)  # fmt: skip
    if wrapped and not plain:
        return _wrapped(node, wrapped, each, impact)
    columns = ", ".join(dict.fromkeys(c.column for c in found if c.column)) or "its filter"
    return Problem(
        "seq-scan-selective-filter", node, each, f"an index on {node.table} for {columns}", impact
    )


def _wrapped(node: Node, condition: Condition, each: str, impact: float) -> Problem:
    if condition.cast and not condition.function:
        return Problem(
            "implicit-cast", node,
            f"column {condition.column} is converted to {condition.cast} for each row: {each}",
            f"send the parameter in the type of {condition.column}; no new index is needed",
            impact,
        )  # fmt: skip
    return Problem(
        "function-on-column", node,
        f"{condition.function}() around column {condition.column} hides it from its index: {each}",
        f"an index on the expression ({condition.expression}), or compare the bare column", impact,
    )  # fmt: skip


def large_in_list(view: View) -> Iterator[Problem]:
    """A list of hundreds of values is compared with each row."""
    for node in view.plan.nodes:
        for key in ("Filter", "Index Cond", "Recheck Cond"):
            most = max((c.elements for c in conditions(node.text(key))), default=1)
            if most >= ELEMENTS and node.executed:
                yield Problem(
                    "large-in-list", node,
                    f"a list of {most:,} values on {node.label}",
                    "join with VALUES or a temporary table, or ask in batches",
                    view.measure.share(node), 0.6 if key == "Filter" else 0.5,
                )  # fmt: skip
                break


def bloat(view: View) -> Iterator[Problem]:
    """Many pages are read for each row that is there."""
    for node in view.plan.nodes:
        rows = (node.actual + node.removed) * node.loops
        own = node.blocks - sum(child.blocks for child in node.children)
        if not (node.scans_table and view.plan.analysed and node.executed):
            continue
        if own >= 1000 and own >= 5 * max(rows, 1.0) and not view.partial(node):
            yield Problem(
                "read-inefficiency", node,
                f"{count(own)} pages of {node.table} are read for {count(rows)} rows in them",
                f"VACUUM (VERBOSE) {node.table}; where it frees nothing, pg_repack",
                view.measure.share(node), 1.1,
            )  # fmt: skip


def cold(view: View) -> Iterator[Problem]:
    """Most of the time goes to reading from disk."""
    root = view.plan.root
    spent = root.number("Shared I/O Read Time") or root.number("I/O Read Time")
    share = min(1.0, spent / view.plan.execution) if view.plan.execution else 0.0
    if share >= 0.5 and view.measure.unit == "ms":
        read = count(root.number("Shared Read Blocks"))
        yield Problem(
            "cold-io", root, f"{share:.0%} of the time is reading {read} blocks from disk",
            "read less, or give it memory: run it again and compare blocks, not times",
            share, 0.4,
        )  # fmt: skip


RULES = (bloat, selective_scan, large_in_list, cold)
