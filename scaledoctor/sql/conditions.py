"""What the conditions of a plan's node compare: the conjuncts of a Filter, Index or Join Cond."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from scaledoctor.sql.grammar import only_statement

_SHAPES = (
    (re.compile(r"(?:NOT )?\((?:hashed )?SubPlan \d+\)(?:\.col\d+)?"), "(now() IS NULL)"),
    (re.compile(r"\(InitPlan \d+\)\.col\d+|\$\d+"), "$1"),
)
_RANGE = ("<", ">", "<=", ">=")
_PREFIX = ("~~", "^@")


@dataclass(frozen=True, slots=True)
class Condition:
    """One conjunct: ``kind`` is equal, range, prefix, pattern, null or other.

    ``column`` may be qualified by ``table``, the alias in the plan. ``expression`` is SQL of what
    is compared where it is more than the column; ``cast`` the type that the column is turned
    into, ``function`` the function around it. ``elements`` counts those of an array. ``joins`` is
    the alias that the other side belongs to, when it is a column too.
    """

    kind: str
    table: str = ""
    column: str = ""
    expression: str = ""
    function: str = ""
    cast: str = ""
    elements: int = 1
    joins: str = ""


@lru_cache(maxsize=2048)
def conditions(expression: str) -> tuple[Condition, ...]:
    """The conjuncts of an expression of EXPLAIN; empty where the grammar cannot read it."""
    for pattern, instead in _SHAPES:
        expression = pattern.sub(instead, expression)
    tree = only_statement(f"SELECT WHERE {expression}")
    if tree is None:
        return ()
    return tuple(_each(tree.stmts[0].stmt.select_stmt.where_clause))


def _each(node: Any) -> Iterator[Condition]:
    from postgast import pg_query_pb2

    kind = node.WhichOneof("node")
    if kind == "bool_expr":
        if node.bool_expr.boolop == pg_query_pb2.BoolExprType.Value("AND_EXPR"):
            for arg in node.bool_expr.args:
                yield from _each(arg)
            return
        is_not = node.bool_expr.boolop == pg_query_pb2.BoolExprType.Value("NOT_EXPR")
        inner = node.bool_expr.args[0]
        if is_not and inner.WhichOneof("node") == "column_ref":
            table, column = _column(inner.column_ref)
            yield Condition("equal", table, column)
        else:
            yield Condition("other")
    elif kind == "a_expr":
        yield _compared(node.a_expr)
    elif kind == "null_test":
        table, column = _named(node.null_test.arg)
        is_null = node.null_test.nulltesttype == pg_query_pb2.NullTestType.Value("IS_NULL")
        yield Condition("null" if is_null and column else "other", table, column)
    elif kind == "column_ref":
        table, column = _column(node.column_ref)
        yield Condition("equal", table, column)
    else:
        yield Condition("other")


def _compared(expression: Any) -> Condition:
    from postgast import pg_query_pb2

    operator = expression.name[-1].string.sval if expression.name else ""
    kinds = {pg_query_pb2.A_Expr_Kind.Value(f"AEXPR_{k}"): k for k in ("OP", "OP_ANY")}
    form = kinds.get(expression.kind, "")
    for side, other in (
        (expression.lexpr, expression.rexpr),
        (expression.rexpr, expression.lexpr),
    ):
        table, column, function, cast = _inside(side)
        if not column:
            continue
        joins = _inside(other)
        if joins[1] and joins[0] == table:
            continue  # two columns of one table
        text = _text(side) if function or cast else ""
        kind = _kind(operator, other) if form else "other"
        elements = _elements(other) if form == "OP_ANY" else 1
        return Condition(kind, table, column, text, function, cast, elements, joins[0])
    return Condition("other")


def _kind(operator: str, other: Any) -> str:
    if operator == "=":
        return "equal"
    if operator in _RANGE:
        return "range"
    if operator in _PREFIX:
        return "pattern" if _constant(other)[:1] in ("%", "_") else "prefix"
    return "pattern" if operator in ("~~*", "~", "~*") else "other"


def _constant(node: Any) -> str:
    kind = node.WhichOneof("node")
    if kind == "type_cast":
        return _constant(node.type_cast.arg)
    return str(node.a_const.sval.sval) if kind == "a_const" else ""


def _elements(node: Any) -> int:
    kind = node.WhichOneof("node")
    if kind == "type_cast":
        return _elements(node.type_cast.arg)
    if kind == "a_array_expr":
        return len(node.a_array_expr.elements)
    text = _constant(node)
    return text.count(",") + 1 if text.startswith("{") else 1


def _inside(node: Any) -> tuple[str, str, str, str]:
    """(table, column, function around it, cast) of one side; empty when it is a value."""
    kind = node.WhichOneof("node")
    if kind == "column_ref":
        return (*_column(node.column_ref), "", "")
    if kind == "type_cast":
        table, column, function, cast = _inside(node.type_cast.arg)
        name = node.type_cast.type_name.names[-1].string.sval if column else ""
        name = "" if name == "text" else name  # a varchar is relabelled, not converted
        return table, column, function, cast or name
    if kind == "func_call":
        name = node.func_call.funcname[-1].string.sval
        for arg in node.func_call.args:
            table, column, _, _ = _inside(arg)
            if column:
                return table, column, name, ""
    if kind == "a_expr":  # total * 2, data ->> 'key'
        for side in (node.a_expr.lexpr, node.a_expr.rexpr):
            if side.WhichOneof("node"):
                table, column, _, _ = _inside(side)
                if column:
                    return table, column, node.a_expr.name[-1].string.sval, ""
    return "", "", "", ""


def _named(node: Any) -> tuple[str, str]:
    return _column(node.column_ref) if node.WhichOneof("node") == "column_ref" else ("", "")


def _column(ref: Any) -> tuple[str, str]:
    fields = [f.string.sval for f in ref.fields]
    return (fields[-2] if len(fields) > 1 else "", fields[-1])


def _text(node: Any) -> str:
    """SQL of an expression, its columns without their table."""
    import postgast
    from postgast import pg_query_pb2

    tree = postgast.parse("SELECT 1")
    result = pg_query_pb2.Node()
    result.CopyFrom(node)
    tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val.CopyFrom(result)
    sql = postgast.deparse(tree).removeprefix("SELECT ")
    return re.sub(r"\b[A-Za-z_]\w*\.(?=[A-Za-z_\"])", "", sql)
