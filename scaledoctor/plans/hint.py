"""What a plan that was not run already tells, where an index is not the answer."""

from dataclasses import dataclass

from scaledoctor.plans.problem import View
from scaledoctor.sql import conditions

SHARE = 0.3
"""Least share of the plan's cost of the node that is spoken of."""


@dataclass(frozen=True, slots=True)
class Hint:
    """``id`` is the problem's; ``column`` of ``table`` (schema.table), and the ``cast`` it gets."""

    id: str
    table: str
    column: str
    cast: str = ""


def hint(view: View) -> Hint | None:
    """A cast or a pattern that keeps a scan from an index; None where there is neither."""
    scans = [n for n in view.plan.nodes if n.scans_table and n.text("Filter")]
    for node in sorted(scans, key=lambda n: -view.measure.share(n)):
        if view.measure.share(node) < SHARE:
            continue
        found = conditions(node.text("Filter"))
        for c in found:
            if c.cast and not c.function and c.kind in ("equal", "range"):
                return Hint("implicit-cast", node.table, c.column, c.cast)
        for c in found:
            if c.kind == "pattern" and not c.function and not c.cast:
                return Hint("leading-wildcard", node.table, c.column)
    return None
