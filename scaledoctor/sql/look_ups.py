"""What a repeated look-up asks for, and the one statement that would ask for all rows at once."""

import re
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from scaledoctor.sql.grammar import only_statement, parsed
from scaledoctor.sql.outline import aggregates


class Relation(StrEnum):
    """How the child's rows belong to the parent's."""

    BELONGS_TO = "belongs-to"
    """One row by its key: a list's row points to it."""
    HAS_MANY = "has-many"
    """Rows that point to a list's row."""
    COUNT = "count"
    """A number for each row of a list."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LookUp:
    """A statement that pins one column; ``batched`` is empty where one cannot be written."""

    relation: Relation
    table: str = ""
    column: str = ""
    batched: str = ""


_ALL_COLUMNS = re.compile(r"(?:\bselect|[.,])\s*\*", re.I)

NONE = LookUp(Relation.UNKNOWN)

_VALUES = ("param_ref", "a_const")


def look_up(sql: str, parameter: int = 0) -> LookUp:
    """Read a SELECT whose ``column = $parameter`` varies; 0 takes the first one there is.

    The batched form is deparsed by PostgreSQL's own grammar, and parsed again.
    """
    tree = only_statement(sql)
    if tree is None or not tree.stmts[0].stmt.HasField("select_stmt"):
        return NONE
    return _look_up(tree, tree.stmts[0].stmt.select_stmt, parameter)


def _look_up(tree: Any, select: Any, parameter: int) -> LookUp:
    found = list(_equalities(select.where_clause))
    chosen = next((one for one in found if one[1] == parameter), found[0] if found else None)
    if chosen is None:
        return NONE
    expression, _, column = chosen
    table = _table(select, column)
    name = column.fields[-1].string.sval
    relation = _relation(select, name, table)
    return LookUp(relation, table, name, _batched(tree, select, expression, column, relation))


def _equalities(node: Any) -> list[tuple[Any, int, Any]]:
    """(expression, number of its parameter, its column) of each conjunct ``column = $n``."""
    kind = node.WhichOneof("node")
    if kind == "bool_expr" and node.bool_expr.boolop == 1:
        return [one for arg in node.bool_expr.args for one in _equalities(arg)]
    if kind != "a_expr" or [n.string.sval for n in node.a_expr.name] != ["="]:
        return []
    expression = node.a_expr
    for column, value in (
        (expression.lexpr, expression.rexpr),
        (expression.rexpr, expression.lexpr),
    ):
        number = _number(value)
        if column.WhichOneof("node") == "column_ref" and number:
            return [(expression, number, column.column_ref)]
    return []


def _number(node: Any) -> int:
    """The parameter's number below casts and a list of one; 0 for anything else."""
    kind = node.WhichOneof("node")
    if kind == "type_cast":
        return _number(node.type_cast.arg)
    if kind == "list" and len(node.list.items) == 1:
        return _number(node.list.items[0])
    return int(node.param_ref.number) if kind == "param_ref" else 0


def _table(select: Any, column: Any) -> str:
    """The table that a column is of: by its qualifier, or the only one there is."""
    names: dict[str, str] = {}
    pending = list(select.from_clause)
    while pending:
        item = pending.pop()
        if item.HasField("range_var"):
            relation = item.range_var
            names[relation.alias.aliasname or relation.relname] = relation.relname
        elif item.HasField("join_expr"):
            pending += [item.join_expr.larg, item.join_expr.rarg]
    if len(column.fields) > 1:
        return names.get(column.fields[-2].string.sval, "")
    return next(iter(names.values())) if len(names) == 1 else ""


def singular(table: str) -> str:
    """A table's name without its plural, well enough for suggestions."""
    if table.endswith("ies"):
        return table[:-3] + "y"
    return table[:-1] if table.endswith("s") and not table.endswith("ss") else table


def is_key(column: str, table: str) -> bool:
    """Whether a column's name says that it is its table's own key."""
    own = {f"{word}{end}" for word in _names(table) for end in ("_id", "id")}
    return column.lower() in own | {"id", "uuid", "pk", "code", "key", "slug"}


def points_to(asked: LookUp, list_sql: str, list_table: str) -> bool:
    """Whether names say that a look-up is for the rows of a list.

    It pins the list's own key (``author_id``), or the list selects the looked-up table's
    (``customer_id``), or all columns.
    """
    if asked.relation is Relation.BELONGS_TO:
        if asked.table == list_table:
            return False
        words = set(re.findall(r"[a-z_0-9]+", list_sql.lower()))
        pointers = {f"{name}{end}" for name in _names(asked.table) for end in ("_id", "id")}
        return bool(words & pointers) or bool(_ALL_COLUMNS.search(list_sql))
    column = asked.column.lower()
    return any(column in (f"{name}_id", f"{name}id", name) for name in _names(list_table))


def _names(table: str) -> set[str]:
    """A table's name in the singular, with and without the application's prefix."""
    bare = singular(table.lower())
    return {bare, bare.rpartition("_")[2]}


def _relation(select: Any, column: str, table: str) -> Relation:
    if aggregates(select) and not select.group_clause:
        return Relation.COUNT
    if is_key(column, table):
        return Relation.BELONGS_TO
    return Relation.HAS_MANY if column.lower().endswith("id") else Relation.UNKNOWN


def _batched(tree: Any, select: Any, expression: Any, column: Any, relation: Relation) -> str:
    import postgast
    from postgast import pg_query_pb2

    if _per_row(tree, select):
        return ""
    if select.HasField("limit_count") or select.HasField("limit_offset"):
        if relation is not Relation.BELONGS_TO:
            return ""  # some rows of each need a LATERAL join, which needs the parent
        select.ClearField("limit_count")
        select.ClearField("limit_offset")
        select.limit_option = pg_query_pb2.LimitOption.Value("LIMIT_OPTION_DEFAULT")
    if expression.rexpr.HasField("column_ref"):
        flipped = pg_query_pb2.Node()
        flipped.CopyFrom(expression.lexpr)
        expression.lexpr.CopyFrom(expression.rexpr)
        expression.rexpr.CopyFrom(flipped)
    number = _number(expression.rexpr)
    expression.kind = pg_query_pb2.A_Expr_Kind.Value("AEXPR_OP_ANY")
    expression.rexpr.Clear()
    expression.rexpr.param_ref.number = number
    if not _selects(select, column.fields[-1].string.sval):
        _by_column(select, column)
    with suppress(postgast.PgQueryError):
        text: str = postgast.deparse(tree)
        return text if only_statement(text) is not None else ""
    return ""


def _per_row(tree: Any, select: Any) -> bool:
    """Whether it picks, numbers or sorts rows in a way that means another thing for all at once.

    A column by its number is a masked value in a template, and another column once one is added.
    """
    import postgast
    from postgast import pg_query_pb2

    sorts: Any = [item.sort_by.node for item in select.sort_clause]
    windows: Any = postgast.find_nodes(tree, pg_query_pb2.WindowDef)
    return (
        any(item.ByteSize() for item in select.distinct_clause)
        or any(node.WhichOneof("node") in _VALUES for node in (*sorts, *select.group_clause))
        or next(iter(windows), None) is not None
    )


def _selects(select: Any, name: str) -> bool:
    """Whether a SELECT gives that column, so that its rows can be told apart."""
    targets = [item.res_target.val for item in select.target_list]
    fields = [t.column_ref.fields[-1] for t in targets if t.HasField("column_ref")]
    return any(field.HasField("a_star") or field.string.sval == name for field in fields)


def _by_column(select: Any, column: Any) -> None:
    """The column in front of all others; where rows are grouped or counted, by it too."""
    grouped = bool(select.group_clause) or aggregates(select)
    targets = list(select.target_list)
    select.ClearField("target_list")
    select.target_list.add().res_target.val.column_ref.CopyFrom(column)
    select.target_list.extend(targets)
    if grouped:
        select.group_clause.add().column_ref.CopyFrom(column)


def main_table(sql: str) -> str:
    """The first table that a statement reads; empty where the grammar cannot tell."""
    import postgast
    from postgast import pg_query_pb2

    tree = parsed(sql)
    tables: Any = postgast.find_nodes(tree, pg_query_pb2.RangeVar) if tree is not None else ()
    return next((str(table.relname) for table in tables), "")
