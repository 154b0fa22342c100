"""A statement's plan as a tree of text, for reports that have room for it."""

import json

from scaledoctor.plans.draw import Told, headline, tree
from scaledoctor.plans.tree import plan_of
from scaledoctor.sources.postgres import StatementPlan


def drawn(found: StatementPlan | None) -> str:
    """What it costs in all, then each node with its own share; empty where no plan is known."""
    if found is None or not found.plan:
        return ""
    plan = plan_of(json.loads(found.plan))
    return "\n".join(
        (headline(plan), "", *(row.rstrip() for row in tree(Told(plan), unicode=True)))
    )
