"""A plan as a frozen tree, whatever format it was printed in."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

_SCANS_OF_ROWS = ("Seq Scan", "Sample Scan")


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One node; ``details`` has EXPLAIN's own JSON keys, times in ms, blocks of 8 kB.

    Times, rows and removed rows are per loop, blocks are totals, as PostgreSQL prints them.
    """

    kind: str
    details: Mapping[str, Any]
    children: tuple["Node", ...] = ()

    def text(self, key: str) -> str:
        """A detail as text; lists are joined; empty when there is none."""
        value = self.details.get(key, "")
        if isinstance(value, list | tuple):
            return ", ".join(map(str, value))
        return str(value)

    def number(self, key: str, default: float = 0.0) -> float:
        """A detail as a number; ``default`` when there is none or it is no number."""
        try:
            return float(self.details.get(key, default))
        except (TypeError, ValueError):
            return default

    def flag(self, key: str) -> bool:
        """A detail that is true, in whatever spelling."""
        return self.text(key).lower() == "true"

    @property
    def workers(self) -> list["Node"]:
        """What each parallel worker tells of itself."""
        found = self.details.get("Workers") or ()
        return [Node("", part) for part in found if isinstance(part, Mapping)]

    @property
    def relation(self) -> str:
        """The table that is scanned or changed; empty for other nodes."""
        return self.text("Relation Name")

    @property
    def table(self) -> str:
        """The table with its schema, when the plan is verbose."""
        schema = self.text("Schema")
        return f"{schema}.{self.relation}" if schema and self.relation else self.relation

    @property
    def index(self) -> str:
        """The index that is used."""
        return self.text("Index Name")

    @property
    def role(self) -> str:
        """Parent Relationship: Outer, Inner, Member, SubPlan, InitPlan, Subquery."""
        return self.text("Parent Relationship")

    @property
    def rows(self) -> float:
        """Estimated rows of one loop."""
        return self.number("Plan Rows")

    @property
    def actual(self) -> float:
        """Rows of one loop."""
        return self.number("Actual Rows")

    @property
    def loops(self) -> float:
        """How often it was run, by all processes together; 1 without ANALYZE."""
        return self.number("Actual Loops", 1.0)

    @property
    def analysed(self) -> bool:
        """Whether it has actual rows."""
        return "Actual Loops" in self.details

    @property
    def executed(self) -> bool:
        """False only where ANALYZE says never executed."""
        return self.loops > 0

    @property
    def blocks(self) -> float:
        """Shared and local blocks hit and read, children included."""
        kinds = ("Shared Hit", "Shared Read", "Local Hit", "Local Read")
        return sum(self.number(f"{kind} Blocks") for kind in kinds)

    @property
    def removed(self) -> float:
        """Rows of one loop that its Filter threw away."""
        return self.number("Rows Removed by Filter")

    @property
    def scans_table(self) -> bool:
        """Whether it reads a table from end to end."""
        return self.kind in _SCANS_OF_ROWS

    @property
    def is_cte(self) -> bool:
        """Whether it computes a CTE."""
        return self.role == "InitPlan" and self.text("Subplan Name").startswith("CTE ")

    @property
    def is_init(self) -> bool:
        """Whether it computes a value once, before the query runs."""
        return self.role == "InitPlan" and not self.is_cte

    def walk(self) -> Iterator["Node"]:
        """Itself and all below it, parents first."""
        pending: list[Node] = [self]
        while pending:
            node = pending.pop()
            yield node
            pending += reversed(node.children)

    @property
    def label(self) -> str:
        """What people call it: kind, table or index."""
        kind = " ".join(filter(None, (self.strategy, self.kind)))
        if self.flag("Parallel Aware"):
            kind = f"Parallel {kind}"
        place = self.relation or self.text("CTE Name") or self.text("Function Name")
        alias = self.text("Alias")
        place += f" {alias}" if alias and place and alias != place else ""
        using = f" using {self.index}" if self.index and place else ""
        on = place or self.index
        return f"{kind}{using} on {on}" if on else kind

    @property
    def strategy(self) -> str:
        """What tells two nodes of one kind apart: Left, Hashed, Partial, Insert."""
        words = [self.text("Partial Mode"), self.text("Strategy"), self.text("Join Type")]
        words = [w for w in words if w not in ("", "Simple", "Plain", "Inner")]
        return " ".join([*words, *filter(None, [self.text("Operation")])])


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A plan and what EXPLAIN says of the whole: times in ms, triggers, JIT, settings."""

    root: Node
    details: Mapping[str, Any]

    @property
    def nodes(self) -> list[Node]:
        """All nodes, parents first."""
        return list(self.root.walk())

    @property
    def analysed(self) -> bool:
        """Whether it was run."""
        return self.root.analysed

    @property
    def timed(self) -> bool:
        """Whether each node has its time."""
        return "Actual Total Time" in self.root.details

    def number(self, key: str) -> float:
        """A detail of the whole as a number, 0 when there is none."""
        return Node("", self.details).number(key)

    def parts(self, key: str) -> list[Node]:
        """The objects below a key of the whole (Triggers, JIT, Settings), one or several."""
        found = self.details.get(key) or ()
        found = [found] if isinstance(found, Mapping) else found
        return [Node("", part) for part in found if isinstance(part, Mapping)]

    @property
    def execution(self) -> float:
        """Milliseconds of execution, triggers included; before PostgreSQL 9.4 with planning."""
        root = self.root.number("Actual Total Time") * self.root.loops
        return self.number("Execution Time") or self.number("Total Runtime") or root

    @property
    def query(self) -> str:
        """The statement, where auto_explain wrote it."""
        return str(self.details.get("Query Text", ""))

    @property
    def query_id(self) -> str:
        """The statement's identity, as pg_stat_statements has it; empty when not printed."""
        return str(self.details.get("Query Identifier", ""))


def plan_of(raw: Mapping[str, Any]) -> Plan:
    """Build the tree from EXPLAIN's JSON object, the one with the key ``Plan``."""
    return Plan(node_of(raw["Plan"]), {k: v for k, v in raw.items() if k != "Plan"})


def node_of(raw: Mapping[str, Any]) -> Node:
    """Build one node with all below it."""
    details = {k: v for k, v in raw.items() if k not in ("Node Type", "Plans")}
    children = raw.get("Plans") or ()
    return Node(str(raw["Node Type"]), details, tuple(map(node_of, children)))


def raw_of(plan: Plan) -> dict[str, Any]:
    """The tree as EXPLAIN's JSON object again."""
    return {"Plan": _raw(plan.root), **plan.details}


def _raw(node: Node) -> dict[str, Any]:
    below = {"Plans": [_raw(child) for child in node.children]} if node.children else {}
    return {"Node Type": node.kind, **node.details, **below}


_NAMES = frozenset({
    "Parent Relationship", "Subplan Name", "Relation Name", "Schema", "Alias", "Index Name",
    "CTE Name", "Function Name", "Table Function Name", "Tuplestore Name", "Join Type", "Strategy",
    "Partial Mode", "Operation", "Scan Direction", "Sort Method", "Sort Space Type", "Command",
    "Storage", "Cache Mode", "Custom Plan Provider", "Full-sort Groups", "Pre-sorted Groups",
})  # fmt: skip
"""Details that are words or names; every other text may hold a literal."""

_NUMBER = re.compile(r"-?[\d.]+(?:e[+-]?\d+)?|true|false", re.I)


def masked(plan: Plan) -> Plan:
    """The same plan without a literal in any expression, and without the statement's text."""
    from scaledoctor.sql import normalise

    details = dict(plan.details)
    if details.get("Query Text"):
        details["Query Text"] = normalise(str(details["Query Text"]))
    details.pop("Query Parameters", None)
    return replace(plan, root=_masked(plan.root), details=details)


def _masked(node: Node) -> Node:
    from scaledoctor.sql import mask

    details = {
        key: value if key in _NAMES else _each(mask, value) for key, value in node.details.items()
    }
    return Node(node.kind, details, tuple(map(_masked, node.children)))


def _each(change: Any, value: Any) -> Any:
    if isinstance(value, list):
        return [_each(change, item) for item in value]
    text = isinstance(value, str) and not _NUMBER.fullmatch(value)
    return change(value) if text else value
