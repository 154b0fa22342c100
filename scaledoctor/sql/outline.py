"""What a statement does, in outline: reads or writes, of one table, one row or several."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from scaledoctor.sql.grammar import parsed


class Does(StrEnum):
    """What a statement does."""

    NOTHING = "nothing"
    """Of no account: settings, the catalogue, a SELECT without FROM."""
    BEGIN = "begin"
    END = "end"
    READ = "read"
    WRITE = "write"
    """One row or those of a condition: neither INSERT ... SELECT nor an UPDATE of all."""


@dataclass(frozen=True, slots=True)
class Outline:
    """``many``: a read that can give several rows; ``plain``: of one table, ungrouped."""

    does: Does
    many: bool = False
    plain: bool = False


NOTHING = Outline(Does.NOTHING)

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


def outline(sql: str) -> Outline:
    """Describe one statement; by its first word where the grammar cannot read it."""
    tree = parsed(sql)
    if tree is None:
        return _by_words(sql)
    if len(tree.stmts) != 1:
        return NOTHING
    node = tree.stmts[0].stmt
    kind = node.WhichOneof("node") or ""
    return _outline(kind, getattr(node, kind), sql) if kind else NOTHING


def _outline(kind: str, statement: Any, text: str) -> Outline:
    if kind == "transaction_stmt":
        return _transaction(statement)
    if _SYSTEM.search(text):
        return NOTHING
    if kind in ("insert_stmt", "update_stmt", "delete_stmt"):
        return Outline(Does.WRITE) if _one_row(kind, statement) else NOTHING
    if kind != "select_stmt" or not _reads(statement):
        return NOTHING
    grouped = bool(statement.group_clause)
    tables = [item.WhichOneof("node") for item in statement.from_clause]
    return Outline(
        Does.READ,
        many=grouped or not (aggregates(statement) or _one_by_itself(statement)),
        plain=tables == ["range_var"] and not grouped,
    )


def _transaction(statement: Any) -> Outline:
    from postgast import pg_query_pb2

    kind = pg_query_pb2.TransactionStmtKind.Name(statement.kind)
    if kind in _BEGINS:
        return Outline(Does.BEGIN)
    return Outline(Does.END) if kind in _ENDS else NOTHING


def _reads(statement: Any) -> bool:
    """Whether it reads a table; a UNION by its arms, SELECT EXISTS (...) by what it selects."""
    if statement.HasField("larg"):
        return _reads(statement.larg) or _reads(statement.rarg)
    targets = (item.res_target.val for item in statement.target_list)
    return bool(statement.from_clause) or any(t.HasField("sub_link") for t in targets)


def _one_by_itself(statement: Any) -> bool:
    """Whether it has no FROM and no arms: SELECT EXISTS (...)."""
    return not statement.from_clause and not statement.HasField("larg")


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


def _by_words(text: str) -> Outline:
    """Less is known of what the grammar cannot read: it is no parent and stands for itself."""
    found = _WORDS.match(text)
    if found is None or _SYSTEM.search(text):
        return NOTHING
    word = found[1].lower()
    if word in ("select", "with"):
        return Outline(Does.READ, many=True) if re.search(r"\bfrom\b", text, re.I) else NOTHING
    one = not re.search(r"\bselect\b|\bunnest\b", text, re.I)
    return Outline(Does.WRITE) if one else NOTHING
