"""Queries within queries, run again and again, and CTEs in the way."""

import re
from collections.abc import Iterator

from scaledoctor.plans.problem import Problem, View, count

LOOPS = 100
"""Runs of a subplan from which it is a join in disguise (pganalyze and pgexplain ask 1,000)."""


def correlated(view: View) -> Iterator[Problem]:
    """A subquery is run once for each row."""
    for node in view.plan.nodes:
        if node.role != "SubPlan" or not view.plan.analysed:
            continue
        below = view.measure.below(node)
        if node.loops < LOOPS or below < 0.1:
            continue
        owner = view.owner[node]
        name = node.text("Subplan Name")
        if _unhashed(owner.text("Filter") + owner.text("Join Filter"), name):
            continue
        scans = [n for n in node.walk() if n.scans_table and n.removed * n.loops >= 10_000]
        if scans:
            where = scans[0].table
            remedy = f"an index on {where} for what the subquery compares; or a join with GROUP BY"
        else:
            remedy = "a join, or LEFT JOIN LATERAL, so that it runs once"
        yield Problem(
            "correlated-subplan", node,
            f"a subquery on {_tables(view, node.walk())} is run {count(node.loops)} times",
            remedy, below, 1.2,
        )  # fmt: skip


def unhashed(view: View) -> Iterator[Problem]:
    """NOT IN over a list too large to hash: the list is searched for each row."""
    for node in view.plan.nodes:
        if node.role != "SubPlan" or not node.executed:
            continue
        owner = view.owner[node]
        text = owner.text("Filter") + owner.text("Join Filter")
        if _unhashed(text, node.text("Subplan Name")) and node.loops >= LOOPS:
            yield Problem(
                "unhashed-subplan", node,
                f"NOT IN or ANY searches {_tables(view, node.walk())} {count(node.loops)} times",
                "NOT EXISTS instead of NOT IN; or more work_mem, so that the list is hashed",
                max(view.measure.below(node), view.measure.share(owner)), 1.3,
            )  # fmt: skip


def _unhashed(text: str, name: str) -> bool:
    """Whether a condition compares with the subplan's rows one by one."""
    plain = re.escape(name)
    return bool(
        re.search(rf"NOT \({plain}\)", text)
        or re.search(rf"\((?:ANY|ALL) \([^()]* = \({plain}\)\.col\d", text)
        or re.search(rf"ALL \([^()]*<> \({plain}\)\.col\d", text)
    )


def _tables(view: View, nodes: Iterator[object]) -> str:
    inside = set(nodes)
    names = [n.table or n.text("CTE Name") for n in view.plan.nodes if n in inside]
    return ", ".join(dict.fromkeys(filter(None, names))) or "no table"


def cte_barrier(view: View) -> Iterator[Problem]:
    """A CTE is computed whole, and most of it is thrown away."""
    for node in view.plan.nodes:
        if node.kind != "CTE Scan" or not view.plan.analysed or not node.executed:
            continue
        removed, kept = node.removed * node.loops, node.actual * node.loops
        if removed < 9000 or removed < 0.9 * (removed + kept):
            continue
        name = node.text("CTE Name")
        readers = [n for n in view.plan.nodes if n.text("CTE Name") == name]
        cte = next((n for n in view.plan.nodes if n.text("Subplan Name") == f"CTE {name}"), None)
        if cte is None or len(readers) != 1 or cte.kind in ("ModifyTable", "Recursive Union"):
            continue
        yield Problem(
            "cte-scan-barrier", node,
            f"CTE {name} computes {count(removed + kept)} rows and {count(removed)} of them are "
            "thrown away behind it",
            f"WITH {name} AS NOT MATERIALIZED (...), so that the filter reaches its tables",
            min(1.0, view.measure.below(cte) + view.measure.share(node)), 1.2,
        )  # fmt: skip


RULES = (unhashed, correlated, cte_barrier)
