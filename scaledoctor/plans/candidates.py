"""Indexes that a plan's wasteful nodes lack: what to try, the narrowest first.

Equality columns come first, then the sort order under a LIMIT, else one range (Winand, "Use The
Index, Luke"). Nothing here is advice yet: it has to be tried.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scaledoctor.plans.problem import View
from scaledoctor.plans.relation import Relation
from scaledoctor.plans.tree import Node
from scaledoctor.sql import Condition, conditions, identifier

PAGES = 100
"""Pages below which a scan is never a problem (traps)."""

SHARE = 0.1
"""Least share of the plan's cost, with all above it that waits for it, of a node worth an index."""

KEPT = 0.2
"""Share of a table's rows above which an index does not pay."""

KEYS = 3
"""Columns of an index at most."""

ELEMENTS = 50
"""Elements of an IN list that still count as an equality."""

_SCANS = ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan")
_ORDER = re.compile(r'^(?:\w+\.|"[^"]+"\.)?(?P<column>\w+|"[^"]+")(?P<way> DESC)?$')

Relations = Mapping[tuple[str, str], Relation]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An index to try: ``keys`` are SQL, ``columns`` the same without direction or expression.

    ``scan`` is the kind of the node that lacks it, ``using`` the index that it has now, ``rows``
    what it is expected to find.
    """

    relation: Relation
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    where: str
    scan: str
    using: str
    rows: float
    ordered: bool = False

    def definition(self) -> str:
        """Table and keys, as behind CREATE INDEX ... ON."""
        table = f"{identifier(self.relation.schema)}.{identifier(self.relation.name)}"
        where = f" WHERE {self.where}" if self.where else ""
        return f"{table} ({', '.join(self.keys)}){where}"


def candidates(view: View, relations: Relations) -> tuple[Candidate, ...]:
    """Indexes to try, for the most expensive node first; none for small or locked tables."""
    found: list[Candidate] = []
    nodes = [n for n in view.plan.nodes if n.kind in _SCANS and n.relation]
    for node in sorted(nodes, key=lambda n: -view.measure.below(n)):
        relation = relations.get((node.text("Schema"), node.relation))
        if relation is None or relation.locked or relation.pages < PAGES:
            continue
        if _repeated(view, node) < SHARE:
            continue
        found += [c for c in _of_node(view, node, relation) if c not in found]
    return tuple(found)


def _repeated(view: View, node: Node) -> float:
    """Its share of the cost; on the inner side of a loop that of the whole loop."""
    share = view.measure.below(node)
    for upper in view.above(node):
        if upper.kind in ("Nested Loop", "Sort", "Limit") or node.role == "SubPlan":
            share = max(share, view.measure.below(upper))
        else:
            break
    if any(n.role == "SubPlan" for n in (node, *view.above(node))):
        share = 1.0
    return share


def _of_node(view: View, node: Node, relation: Relation) -> Iterator[Candidate]:
    alias = node.text("Alias")
    keys = ("Filter", "Index Cond", "Recheck Cond")
    own = [c for key in keys for c in conditions(node.text(key)) if c.table in ("", alias)]
    own += [c for c in _joined(view, node) if c.table == alias]
    equal = sorted(_equal(own), key=lambda c: relation.selectivity(c.column))
    ranged = [c for c in own if c.kind in ("range", "prefix") and c.column and not c.cast]
    order = _order(view, node, relation)
    where = next((c for c in own if c.kind == "null" and c.column), None)
    selective = node.rows <= KEPT * max(relation.rows, 1.0) or bool(order)
    if not (selective or any(c.joins for c in equal)):
        return
    lists: list[tuple[list[str], list[str], bool]] = []
    firsts = [_key(c) for c in equal]
    names = [c.column for c in equal]
    if firsts:
        lists.append((firsts[:1], names[:1], False))
    if order and not ranged:
        lists.append(([*firsts[:2], *order[0]], [*names[:2], *order[1]], True))
    if ranged:
        lists.append(([*firsts[:2], _key(ranged[0])], [*names[:2], ranged[0].column], False))
    if len(firsts) > 1:
        lists.append((firsts[:KEYS], names[:KEYS], False))
    rows = _rows(view, node, relation, equal)
    limit = next((n.rows for n in view.above(node) if n.kind == "Limit"), rows)
    for sql, columns, ordered in lists:
        found = min(rows, limit) if ordered else rows
        yield from _made(node, relation, sql, columns, where, rows=found, ordered=ordered)


def _rows(view: View, node: Node, relation: Relation, equal: list[Condition]) -> float:
    """How many rows such an index is expected to find in all.

    The planner guesses at expressions (0.5 % of the rows); the column has statistics.
    """
    rows = node.rows
    first = equal[0] if equal else None
    if first and (first.expression or first.joins):
        one = max(1.0, relation.selectivity(first.column) * relation.rows)
        rows = min(rows, one * _asked(view, node) if first.joins else one)
    return rows


def _asked(view: View, node: Node) -> float:
    """How often the join right above would ask this table: the rows of its other side."""
    below = node
    for upper in view.above(node):
        if "Join" in upper.kind or upper.kind == "Nested Loop":
            others = [c.rows for c in upper.children if c is not below]
            return max(1.0, *others) if others else 1.0
        below = upper
    return 1.0


def _equal(own: list[Condition]) -> list[Condition]:
    found: dict[str, Condition] = {}
    for c in own:
        if c.kind == "equal" and c.column and not c.cast and c.elements <= ELEMENTS:
            found.setdefault(c.expression or c.column, c)
    return list(found.values())


def _key(condition: Condition) -> str:
    if condition.expression:
        return f"({condition.expression})"
    operator_class = " text_pattern_ops" if condition.kind == "prefix" else ""
    return identifier(condition.column) + operator_class


def _made(
    node: Node,
    relation: Relation,
    sql: list[str],
    columns: list[str],
    null: Condition | None,
    *,
    rows: float,
    ordered: bool,
) -> Iterator[Candidate]:
    keys = tuple(dict.fromkeys(sql))[:KEYS]
    plain = tuple(dict.fromkeys(columns))[:KEYS]
    if not keys or (relation.leads(plain) and not any("(" in key for key in keys)):
        return
    width = sum(c.width for name in plain if (c := relation.columns.get(name)))
    if width > 200:
        return
    few = null is not None and null.column not in plain
    rare = few and null is not None and relation.columns.get(null.column)
    partial = bool(rare and 0 < rare.nulls <= 0.1 and null)
    where = f"{identifier(null.column)} IS NULL" if partial and null else ""
    yield Candidate(
        relation, keys, plain, where, node.kind, node.index, rows, ordered=ordered
    )  # fmt: skip


def _joined(view: View, node: Node) -> Iterator[Condition]:
    """Equalities of the joins right above that the other side could ask an index for."""
    alias = node.text("Alias")
    for upper in view.above(node)[:3]:
        for key in ("Join Filter", "Hash Cond", "Merge Cond"):
            for c in conditions(upper.text(key)):
                if c.kind == "equal" and c.joins:
                    if c.table == alias:
                        yield c
                    elif c.joins == alias and (turned := _turned(upper.text(key), alias)):
                        yield turned


def _turned(expression: str, alias: str) -> Condition | None:
    """The column of ``alias`` on the right side of an equality."""
    match = re.search(rf'= "?{re.escape(alias)}"?\.(\w+|"[^"]+")\)', expression)
    column = match[1].strip('"') if match else ""
    return Condition("equal", alias, column, joins="other") if column else None


def _order(view: View, node: Node, relation: Relation) -> tuple[list[str], list[str]] | None:
    """The keys of a sort right above, under a LIMIT, all of this table: SQL, and their columns.

    Where an index is walked in its order instead, and a filter throws rows away, its columns.
    """
    upper = [n for n in view.above(node) if n.kind not in ("Gather Merge", "Gather")]
    if upper and upper[0].kind == "Limit" and node.index and node.text("Filter"):
        walked = next((i.keys for i in relation.indexes if i.name == node.index and i.plain), ())
        plain = [key for key in walked if key]
        return ([identifier(key) for key in plain], plain) if plain else None
    if len(upper) < 2 or upper[0].kind not in ("Sort", "Incremental Sort"):
        return None
    if upper[1].kind != "Limit":
        return None
    given = upper[0].details.get("Sort Key") or ()
    parts = given if isinstance(given, list | tuple) else str(given).split(", ")
    matches = [_ORDER.match(str(part)) for part in parts]
    if not matches or not all(matches) or len(matches) > 2:
        return None
    found = [(m["column"], m["way"] or "") for m in matches if m]
    return [column + way for column, way in found], [column.strip('"') for column, _ in found]
