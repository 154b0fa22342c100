"""What the placeholders of a statement stand for, and the statement with values in their place."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from scaledoctor.sql.grammar import parsed

_TOKEN = re.compile(r"\"(?:[^\"]|\"\")*\"|'(?:[^']|'')*'|\$(\d+)")
_LOW = (">", ">=")
_HIGH = ("<", "<=")


@dataclass(frozen=True, slots=True)
class Parameter:
    """``kind`` is equal, low, high, pattern, limit or offset; the column that it is compared with.

    ``tables`` are the tables that the column may be of, as (schema or "", name).
    """

    kind: str
    column: str = ""
    tables: tuple[tuple[str, str], ...] = ()


@lru_cache(maxsize=512)
def parameters(sql: str) -> Mapping[int, Parameter]:
    """What each placeholder that is compared with a column or limits rows stands for."""
    tree = parsed(sql)
    if tree is None:
        return {}
    messages = list(_messages(tree))
    named: dict[str, tuple[str, str]] = {}
    for message in messages:
        if message.DESCRIPTOR.name == "RangeVar":
            alias = message.alias.aliasname or message.relname
            named[alias] = (message.schemaname, message.relname)
    found: dict[int, Parameter] = {}
    for message in messages:
        for number, kind, fields in _uses(message):
            if fields is None:
                found.setdefault(number, Parameter(kind))
                continue
            qualifier = fields[-2] if len(fields) > 1 else ""
            tables = (named[qualifier],) if qualifier in named else tuple(named.values())
            found.setdefault(number, Parameter(kind, fields[-1], tables))
    return found


def _messages(message: Any) -> Iterator[Any]:
    pending = [message]
    while pending:
        one = pending.pop()
        yield one
        for field, value in one.ListFields():
            if field.message_type is not None:
                pending += value if field.is_repeated else [value]


def _uses(message: Any) -> Iterator[tuple[int, str, list[str] | None]]:
    kind = message.DESCRIPTOR.name
    if kind == "SelectStmt":
        for field in ("limit_count", "limit_offset"):
            for number in _params(getattr(message, field)):
                yield number, field.removeprefix("limit_").replace("count", "limit"), None
    elif kind == "A_Expr" and message.name:
        operator = message.name[-1].string.sval
        for side, other, turned in (
            (message.lexpr, message.rexpr, False),
            (message.rexpr, message.lexpr, True),
        ):
            column = _column(side)
            for place, number in enumerate(_params(other) if column else ()):
                yield number, _kind(operator, place, turned=turned), column


def _kind(operator: str, place: int, *, turned: bool) -> str:
    if operator in ("BETWEEN", "BETWEEN SYMMETRIC"):
        return "high" if place else "low"
    if operator in ("~~", "~~*"):
        return "pattern"
    if operator in _LOW + _HIGH:
        return "low" if (operator in _LOW) != turned else "high"
    return "equal"


def _column(node: Any) -> list[str]:
    kind = node.WhichOneof("node")
    if kind == "type_cast":
        return _column(node.type_cast.arg)
    if kind != "column_ref":
        return []
    return [f.string.sval for f in node.column_ref.fields if f.HasField("string")]


def _params(node: Any) -> list[int]:
    """The placeholders of a value, through casts, lists and arrays; none in an expression."""
    kind = node.WhichOneof("node")
    if kind == "param_ref":
        return [node.param_ref.number]
    if kind == "type_cast":
        return _params(node.type_cast.arg)
    items = node.list.items if kind == "list" else ()
    items = node.a_array_expr.elements if kind == "a_array_expr" else items
    return [number for item in items for number in _params(item)]


def fill(sql: str, values: Mapping[int, str]) -> str:
    """The statement with SQL in the place of its placeholders; those without a value stay."""

    def one(match: re.Match[str]) -> str:
        return values.get(int(match[1]), match[0]) if match[1] else match[0]

    return _TOKEN.sub(one, sql)
