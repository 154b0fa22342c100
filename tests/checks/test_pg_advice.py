"""What a statement's finding says when its plan is known, on plain facts."""

import json
from typing import Any

import pytest

from scaledoctor.plans.trial import Trial
from scaledoctor.sdk import Confidence, Finding
from scaledoctor.sources.postgres import Plans, StatementPlan, Tables
from scaledoctor_checks.postgres.statements import statement_share
from tests.checks.pg_facts import SERVER, idle, only, statement, statements, still, table

SLOW = "SELECT * FROM orders WHERE customer = $1"
WINDOW = still(idle(1), samples=21)
FACTS = statements(
    statement("1", 100, 8.0, 500_000, 100, SLOW), statement("2", 100_000, 2.0, 100_000, 100_000)
)

TRIAL = Trial(
    schema="public", table="orders", keys=("customer", "at DESC"), columns=("customer", "at"),
    where="", before=7000.0, after=20.0, tested=True, pages=5000, rows=3.0, writes=1200,
    reads="Seq Scan", using="", replaces="orders_customer", size=5e6,
)  # fmt: skip


def plans(*trials: Trial, scan: str = "(orders.customer = '?')", **changes: Any) -> Plans:
    """The statement's plan: a scan with that filter."""
    node = {
        "Node Type": "Seq Scan", "Relation Name": "orders", "Schema": "public", "Alias": "orders",
        "Total Cost": 7000.0, "Plan Rows": 3, "Filter": scan,
    }  # fmt: skip
    plan = StatementPlan("1", "filled", True, False, json.dumps({"Plan": node}), trials)
    return Plans((plan,), hypopg=True)


def found(plans: Plans | None, tables: Tables | None = None) -> Finding:
    """The finding on the statement."""
    nothing = (None, None, None, None, None, None, None, None)
    return only(list(statement_share(SERVER, WINDOW, FACTS, tables, *nothing, plans)))


def test_a_tested_index_is_the_subject_the_reason_and_the_fix() -> None:
    """One sentence that a DBA would have said."""
    finding = found(plans(TRIAL))
    assert finding.subject == "public.orders(customer, at)"
    assert finding.confidence is Confidence.HIGH
    assert (
        "no index on public.orders (customer, at), so each call reads 5,000 of its 5,000 pages "
        "for 1 rows; with one, the planner's cost falls from 7,000 to 20 (tested with HypoPG)"
    ) in finding.summary
    assert finding.fixes[0].commands == (
        "CREATE INDEX CONCURRENTLY orders_customer_at_idx ON public.orders (customer, at DESC);",
    )
    assert "index orders_customer begins like it" in finding.fixes[0].risk


def test_a_plan_that_lacks_nothing_overrules_the_text() -> None:
    """The predicate's column leads no index, but the planner would not take one."""
    finding = found(plans(), table("orders", 5000, "id"))
    assert finding.subject == SLOW
    assert finding.fixes[0].title == "Look at its plan"


def test_without_a_plan_the_text_decides() -> None:
    """As before; and a plan of another statement is none."""
    for known in (None, Plans((), hypopg=False)):
        assert found(known, table("orders", 5000, "id")).subject == "public.orders(customer)"


@pytest.mark.parametrize(
    ("scan", "words", "command"),
    [
        ("((orders.customer)::numeric = '?'::numeric)", "is converted", "bound in the column's"),
        ("(orders.note ~~ '%?'::text)", "without a fixed beginning", "gin_trgm_ops"),
    ],
)
def test_what_no_index_helps_is_said(scan: str, words: str, command: str) -> None:
    """A cast wants another type, a pattern a trigram index."""
    finding = found(plans(scan=scan))
    assert words in finding.summary
    assert command in " ".join(finding.fixes[0].commands)


def test_its_plan_goes_with_the_finding() -> None:
    """Drawn as text; nothing where no plan is known, or none could be had."""
    head, _, _, node, condition = found(plans()).plan.splitlines()
    assert head == "7,000 cost units, not run: an estimate"
    assert node.endswith("Seq Scan on orders")
    assert condition.strip() == "Filter: (orders.customer = '?')"
    assert found(None).plan == ""
    assert found(Plans((StatementPlan("1", "", False, False, "", (), "denied"),), False)).plan == ""
