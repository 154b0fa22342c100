"""Where a statement's literals and parameters stand: in an equality, a range, a list."""

from contextlib import suppress
from functools import lru_cache
from typing import Any

from scaledoctor.sql.grammar import parsed

EQUAL, RANGE, PAGE, BATCH, ELSE = "erpb-"
"""Where a value stands: ``column = value``, a range, LIMIT or OFFSET, a list, anywhere else."""


@lru_cache(maxsize=2048)
def places(text: bytes, offsets: tuple[int, ...]) -> str:
    """Return one letter for each literal or parameter of a statement, by their offsets.

    All are ``-`` where the grammar cannot read it.
    """
    found: dict[int, str] = {}
    with suppress(UnicodeDecodeError):
        tree = parsed(text.decode())
        for statement in tree.stmts if tree is not None else ():
            _walk(statement.stmt, ELSE, found)
    # The grammar's place may be that of a sign or of the E before a string.
    return "".join(found.get(at) or found.get(at - 1, ELSE) for at in offsets)


def _walk(message: Any, place: str, found: dict[int, str]) -> None:
    """Note the place of every constant and parameter below a node of the tree."""
    name = message.DESCRIPTOR.name
    if name in ("A_Const", "ParamRef"):
        found[message.location] = place
        return
    if name == "SelectStmt" and len(message.values_lists) > 1:
        place = BATCH
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        below = _below(name, field.name, message, place)
        for child in value if _is_list(value) else (value,):
            _walk(child, below, found)


def _is_list(value: Any) -> bool:
    return not hasattr(value, "DESCRIPTOR")


def _below(name: str, field: str, message: Any, place: str) -> str:
    if field in ("limit_count", "limit_offset"):
        return PAGE
    if name == "SelectStmt":
        return place if place == BATCH else ELSE
    if name == "A_ArrayExpr" and len(message.elements) > 1:
        return BATCH
    if name == "A_Expr" and field in ("lexpr", "rexpr"):
        return _compared(message)
    return place


def _compared(expression: Any) -> str:
    from postgast import pg_query_pb2

    kind = pg_query_pb2.A_Expr_Kind.Name(expression.kind)
    operator = expression.name[-1].string.sval if expression.name else ""
    if kind == "AEXPR_IN":
        several = len(expression.rexpr.list.items) > 1
        return BATCH if several else (EQUAL if operator == "=" else RANGE)
    if kind in ("AEXPR_OP", "AEXPR_OP_ANY", "AEXPR_NOT_DISTINCT"):
        return EQUAL if operator == "=" else RANGE
    return RANGE
