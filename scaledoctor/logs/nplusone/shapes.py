"""What a statement is to the N+1 detector, by the real grammar, once per template."""

import re
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any


class Role(IntEnum):
    """What a statement does; the order of the last two is used: from READ on it is counted."""

    OTHER = 0
    """Of no account: settings, the catalogue, a SELECT without FROM."""
    BEGIN = 1
    END = 2
    POOL = 3
    """Only a pooler sends it between two clients."""
    READ = 4
    WRITE = 5


@dataclass(frozen=True, slots=True)
class Shape:
    """``many``: it can give several rows; ``plain``: it reads one table, ungrouped."""

    role: Role
    many: bool = False
    plain: bool = False


OTHER = Shape(Role.OTHER)

_MARK = re.compile(r"\?\+?")
_POOL = re.compile(rb"DISCARD ALL\Z|SET application_name='?\?'?\Z")
_ENDS = ("TRANS_STMT_COMMIT", "TRANS_STMT_ROLLBACK", "TRANS_STMT_PREPARE")
_BEGINS = ("TRANS_STMT_BEGIN", "TRANS_STMT_START")
_AGGREGATES = frozenset(
    (
        "count",
        "sum",
        "min",
        "max",
        "avg",
        "bool_and",
        "bool_or",
        "array_agg",
        "string_agg",
        "json_agg",
        "jsonb_agg",
    )
)
_WORDS = re.compile(r"\s*(?:\(\s*)*(select|with|insert|update|delete)\b", re.I)
_SYSTEM = re.compile(r"\b(?:from|join)\s+\"?(?:pg_(?!bench)|information_schema)|pg_catalog\.", re.I)


def numbered(name: bytes) -> str:
    """A template as a statement that the grammar takes: ``$1, $2`` for its marks, in order."""
    count = 0

    def number(_: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return f"${count}"

    return _MARK.sub(number, name.decode(errors="replace"))


@lru_cache(maxsize=1 << 16)
def shape(name: bytes) -> Shape:
    """Classify a template; by its first word where the grammar cannot read it."""
    import postgast

    if _POOL.match(name):
        return Shape(Role.POOL)
    text = numbered(name)
    with suppress(postgast.PgQueryError):
        tree = postgast.parse(text)
        if len(tree.stmts) != 1:
            return OTHER
        node = tree.stmts[0].stmt
        kind = node.WhichOneof("node") or ""
        return _shape(kind, getattr(node, kind), text) if kind else OTHER
    return _by_words(text)


def _shape(kind: str, statement: Any, text: str) -> Shape:
    if kind == "transaction_stmt":
        return _transaction(statement)
    if _SYSTEM.search(text):
        return OTHER
    if kind in ("insert_stmt", "update_stmt", "delete_stmt"):
        return Shape(Role.WRITE) if _one_row(kind, statement) else OTHER
    if kind != "select_stmt" or not _reads(statement):
        return OTHER
    grouped = bool(statement.group_clause)
    tables = [item.WhichOneof("node") for item in statement.from_clause]
    return Shape(
        Role.READ,
        many=grouped or not aggregates(statement),
        plain=tables == ["range_var"] and not grouped,
    )


def _transaction(statement: Any) -> Shape:
    from postgast import pg_query_pb2

    kind = pg_query_pb2.TransactionStmtKind.Name(statement.kind)
    if kind in _BEGINS:
        return Shape(Role.BEGIN)
    return Shape(Role.END) if kind in _ENDS else OTHER


def _reads(statement: Any) -> bool:
    """Whether it reads a table; a UNION does by its arms."""
    if statement.HasField("larg"):
        return _reads(statement.larg) or _reads(statement.rarg)
    return bool(statement.from_clause)


def _one_row(kind: str, statement: Any) -> bool:
    """Whether a write may change one row by its key: no INSERT of a SELECT, no UPDATE of all."""
    if kind == "insert_stmt":
        return bool(statement.select_stmt.select_stmt.values_lists)
    sources = statement.from_clause if kind == "update_stmt" else statement.using_clause
    return not sources and statement.HasField("where_clause")


def aggregates(statement: Any) -> bool:
    """Whether a SELECT gives one row by itself: all that it selects are aggregates."""
    targets = [item.res_target.val for item in statement.target_list]
    return bool(targets) and all(map(_is_aggregate, targets))


def _is_aggregate(node: Any) -> bool:
    kind = node.WhichOneof("node")
    if kind == "type_cast":
        return _is_aggregate(node.type_cast.arg)
    if kind == "func_call":
        call = node.func_call
        if call.HasField("over"):
            return False
        if call.funcname[-1].string.sval == "coalesce":
            return _is_aggregate(call.args[0])
        return call.funcname[-1].string.sval in _AGGREGATES
    if kind == "coalesce_expr":
        return _is_aggregate(node.coalesce_expr.args[0])
    return False


def _by_words(text: str) -> Shape:
    """Less is known of what the grammar cannot read: it is no parent and stands for itself."""
    found = _WORDS.match(text)
    if found is None or _SYSTEM.search(text):
        return OTHER
    word = found[1].lower()
    if word in ("select", "with"):
        return Shape(Role.READ, many=True) if re.search(r"\bfrom\b", text, re.I) else OTHER
    one = not re.search(r"\bselect\b|\bunnest\b", text, re.I)
    return Shape(Role.WRITE) if one else OTHER
