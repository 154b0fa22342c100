"""How each ORM loads with a list what its rows need, by the shape of the relation."""

import re
from collections.abc import Mapping

from scaledoctor.sql.look_ups import Relation, singular

_STYLES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("Peewee", re.compile(r'"t1"\."')),
    ("ActiveRecord", re.compile(r'SELECT (?:DISTINCT )?"\w+"\.\*|LIMIT \$\d+$')),
    ("Prisma", re.compile(r'"public"\."\w+"\."')),
    ("Sequelize", re.compile(r'" AS "[A-Z]\w*"')),
    ("Hibernate", re.compile(r"\b[a-z]+\d_0\.")),
    ("SQLAlchemy", re.compile(r"\b(\w+)\.(\w+) AS (?:\1_\2|anon_1)|::(?:INTEGER|VARCHAR|UUID)\b")),
    ("Django", re.compile(r'SELECT (?:\(1\) AS "a"|"\w+"\."\w+"(?:,|$| FROM))')),
)
"""How the statements of each look; the first that fits is told first."""

_LINES: Mapping[Relation, Mapping[str, str]] = {
    Relation.BELONGS_TO: {
        "Django": '{parent}.objects.select_related("{one}")',
        "SQLAlchemy": "select({parent}).options(joinedload({parent}.{one}))",
        "Peewee": "{parent}.select({parent}, {child}).join({child})",
        "ActiveRecord": "{parent}.includes(:{one})",
        "Hibernate": "select p from {parent} p join fetch p.{one}",
        "Prisma": "findMany({{ include: {{ {one}: true }} }})",
        "Sequelize": "{parent}.findAll({{ include: [{child}] }})",
        "Eloquent": "{parent}::with('{one}')",
    },
    Relation.HAS_MANY: {
        "Django": '{parent}.objects.prefetch_related("{one}_set")',
        "SQLAlchemy": "select({parent}).options(selectinload({parent}.{many}))",
        "Peewee": "prefetch({parent}.select(), {child}.select())",
        "ActiveRecord": "{parent}.includes(:{many})",
        "Hibernate": "@BatchSize(size = 100) on {parent}.{many}, or: left join fetch p.{many}",
        "Prisma": "findMany({{ include: {{ {many}: true }} }})",
        "Sequelize": "{parent}.findAll({{ include: [{child}] }})",
        "Eloquent": "{parent}::with('{many}')",
    },
    Relation.COUNT: {
        "Django": '{parent}.objects.annotate(n=Count("{one}"))',
        "SQLAlchemy": "select({parent}, func.count({child}.id)).outerjoin({child})"
        ".group_by({parent}.id)",
        "Peewee": "{parent}.select({parent}, fn.COUNT({child}.id)).join({child}, JOIN.LEFT_OUTER)"
        ".group_by({parent})",
        "ActiveRecord": "belongs_to ..., counter_cache: true, or {child}.group(:{column}).count",
        "Hibernate": "select c.{column}, count(c) from {child} c group by c.{column}",
        "Prisma": "findMany({{ include: {{ _count: {{ select: {{ {many}: true }} }} }} }})",
        "Sequelize": "{child}.count({{ group: ['{column}'] }})",
        "Eloquent": "{parent}::withCount('{many}')",
    },
}


def orm(statement: str) -> str:
    """The ORM whose style a statement has; empty when none is known."""
    return next((name for name, style in _STYLES if style.search(statement)), "")


def idioms(
    relation: Relation, parent: str, child: str, column: str, statement: str
) -> tuple[str, ...]:
    """One line per ORM, the one that wrote the statement first.

    ``parent`` and ``child`` are tables, from which the names of models are guessed.
    """
    lines = _LINES.get(relation, {})
    words = {
        "parent": _model(parent) or "Parent",
        "child": _model(child) or "Child",
        "one": _relation_name(relation, child, column),
        "many": (singular(child).lower() + "s") if child else "children",
        "column": column or "parent_id",
    }
    mine = orm(statement)
    ordered = sorted(lines, key=lambda name: name != mine)
    return tuple(f"{name}: {lines[name].format(**words)}" for name in ordered)


def _model(table: str) -> str:
    """A table's class: shop_order_items -> ShopOrderItem."""
    return "".join(part[:1].upper() + part[1:] for part in singular(table).split("_"))


def _relation_name(relation: Relation, child: str, column: str) -> str:
    """What the attribute may be called: an order's ``customer``."""
    bare = singular(child).lower()
    return bare or (column.removesuffix("_id") if relation is Relation.BELONGS_TO else "child")
