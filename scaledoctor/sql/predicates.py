"""Which columns a statement compares for equality: what an index could serve."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from scaledoctor.sql.grammar import only_statement


@dataclass(frozen=True, slots=True)
class Predicate:
    """Columns of one table that a statement pins to a value; ``schema`` may be empty."""

    schema: str
    table: str
    columns: tuple[str, ...]


@lru_cache(maxsize=2048)
def equality_predicates(sql: str) -> tuple[Predicate, ...]:
    """Return per table the columns compared by ``=`` or ``= ANY`` with a value, joins left out.

    Only conjuncts of the outermost WHERE count; an unqualified column counts only when the
    statement reads one table. Empty for what the grammar cannot read and for other statements.
    """
    tree = only_statement(sql)
    if tree is None:
        return ()
    node = tree.stmts[0].stmt
    statement = getattr(node, node.WhichOneof("node"))
    tables = dict(_tables(statement))
    found: dict[tuple[str, str], list[str]] = {}
    if tables and hasattr(statement, "where_clause"):
        for qualifier, column in _pinned(statement.where_clause):
            key = tables.get(qualifier) if qualifier else _only(tables)
            if key and column not in found.setdefault(key, []):
                found[key].append(column)
    return tuple(Predicate(s, t, tuple(columns)) for (s, t), columns in found.items())


def _only(tables: dict[str, tuple[str, str]]) -> tuple[str, str] | None:
    return next(iter(tables.values())) if len(tables) == 1 else None


def _tables(statement: Any) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield (name in the statement, (schema, table)) for tables in FROM, UPDATE, DELETE."""
    if getattr(statement, "relation", None) is not None and statement.relation.relname:
        yield _named(statement.relation)
    pending = [*getattr(statement, "from_clause", ()), *getattr(statement, "using_clause", ())]
    while pending:
        item = pending.pop()
        if item.WhichOneof("node") == "range_var":
            yield _named(item.range_var)
        elif item.WhichOneof("node") == "join_expr":
            pending += [item.join_expr.larg, item.join_expr.rarg]


def _named(relation: Any) -> tuple[str, tuple[str, str]]:
    return relation.alias.aliasname or relation.relname, (relation.schemaname, relation.relname)


def _pinned(node: Any) -> Iterator[tuple[str, str]]:
    """Yield (qualifier or "", column) of every conjunct ``column = value``."""
    kind = node.WhichOneof("node")
    if kind == "bool_expr" and node.bool_expr.boolop == _and():
        for arg in node.bool_expr.args:
            yield from _pinned(arg)
    elif kind == "a_expr":
        expression = node.a_expr
        if [n.string.sval for n in expression.name] == ["="]:
            for side, other in (
                (expression.lexpr, expression.rexpr),
                (expression.rexpr, expression.lexpr),
            ):
                if side.WhichOneof("node") == "column_ref" and _is_value(other):
                    yield _column(side.column_ref)


def _and() -> int:
    from postgast import pg_query_pb2

    return int(pg_query_pb2.BoolExprType.Value("AND_EXPR"))


def _is_value(node: Any) -> bool:
    kind = node.WhichOneof("node")
    if kind == "type_cast":
        return _is_value(node.type_cast.arg)
    if kind == "list":
        return all(_is_value(item) for item in node.list.items)
    return kind in ("param_ref", "a_const", "a_array_expr")


def _column(ref: Any) -> tuple[str, str]:
    fields = [f.string.sval for f in ref.fields]
    return (fields[-2] if len(fields) > 1 else "", fields[-1])
