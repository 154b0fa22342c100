"""Sorts, hashes and aggregates that did not fit into work_mem."""

from collections.abc import Iterator

from scaledoctor.plans.problem import Problem, View, count
from scaledoctor.plans.tree import Node

SPILL = 0.7
"""What a spill costs of its node's own time at most: a sort on disk takes little longer than one
in memory on a warm machine (traps: 580 ms against 746), a hash in batches reads all twice."""


def sort_spill(view: View) -> Iterator[Problem]:
    """A sort goes through temporary files."""
    for node in view.plan.nodes:
        if node.kind not in ("Sort", "Incremental Sort") or not node.executed:
            continue
        used = _disk(node)
        if used is None:
            continue
        yield Problem(
            "sort-spill", node,
            f"sorting by {node.text('Sort Key')} takes {used / 1024:,.0f} MB of disk",
            "an index in that order; or, for this statement: SET LOCAL work_mem = "
            f"'{max(4, round(used * 3 / 1024))}MB'",
            view.measure.share(node), SPILL,
        )  # fmt: skip


def _disk(node: Node) -> float | None:
    """What a sort and its workers have on disk, in kB; None when all was in memory."""
    used = [
        part.number("Sort Space Used")
        for part in (node, *node.workers)
        if part.text("Sort Space Type") == "Disk" or "external" in part.text("Sort Method")
    ]
    groups = [node.details.get(name) for name in ("Full-sort Groups", "Pre-sorted Groups")]
    if not used and any("Disk" in str(group) for group in groups if group):
        used = [0.0]
    return sum(used) if used else None


def hash_spill(view: View) -> Iterator[Problem]:
    """The hash table of a join is split into batches on disk."""
    for node in view.plan.nodes:
        batches = node.number("Hash Batches", 1.0)
        if node.kind != "Hash" or batches <= 1 or not node.executed:
            continue
        join = view.owner.get(node, node)
        first = node.number("Original Hash Batches", batches)
        share = min(1.0, view.measure.share(node) + view.measure.share(join))
        if batches >= 8 * max(first, 1.0) and batches >= 64:
            yield Problem(
                "hash-skew", node,
                f"the hash of {_table(node)} grew from {count(first)} to {count(batches)} batches",
                f"ANALYZE {_table(node)}; one key with very many rows cannot be split: "
                "more work_mem does not help there",
                share, SPILL,
            )  # fmt: skip
            continue
        need = node.number("Peak Memory Usage") * batches
        yield Problem(
            "hash-spill", node,
            f"the hash of {_table(node)} is split into {count(batches)} batches on disk",
            f"for this statement: SET LOCAL work_mem = '{max(4, round(need * 1.2 / 1024))}MB' "
            "(hash_mem_multiplier counts too)",
            share, SPILL,
        )  # fmt: skip


def _table(node: Node) -> str:
    return next((n.table for n in node.walk() if n.table), node.label)


def aggregate_spill(view: View) -> Iterator[Problem]:
    """The groups of an aggregate do not fit and go to disk."""
    for node in view.plan.nodes:
        if node.kind != "Aggregate" or not node.executed:
            continue
        disk = sum(part.number("Disk Usage") for part in (node, *node.workers))
        if disk > 0 or node.number("HashAgg Batches") > 1:
            yield Problem(
                "hashagg-spill", node,
                f"{count(node.actual * node.loops)} groups take {disk / 1024:,.0f} MB of disk",
                "for this statement: more work_mem; ANALYZE, when far fewer groups were expected "
                f"({count(node.rows)})",
                view.measure.share(node), SPILL,
            )  # fmt: skip


RULES = (sort_spill, hash_spill, aggregate_spill)
