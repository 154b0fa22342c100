"""What a statement would do, by PostgreSQL's own grammar: the first proof that it may be run."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scaledoctor.sql.grammar import parsed

_CHANGES = {
    "InsertStmt": "INSERT", "UpdateStmt": "UPDATE", "DeleteStmt": "DELETE", "MergeStmt": "MERGE",
}  # fmt: skip

COMPARISONS = frozenset({"=", "<>", "<", "<=", ">", ">="})
"""What BETWEEN, IN, CASE, USING, DISTINCT and ORDER BY call without naming it."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """A statement's parts; ``reasons`` say why it is no plain SELECT, empty when it is one.

    Names are (schema or "", name). ``columns`` are names behind a dot or alone, which PostgreSQL
    may take for functions. ``planned`` is whether it has a plan at all.
    """

    reasons: tuple[str, ...]
    planned: bool = False
    functions: frozenset[tuple[str, str]] = frozenset()
    operators: frozenset[str] = frozenset()
    types: frozenset[tuple[str, str]] = frozenset()
    relations: frozenset[tuple[str, str]] = frozenset()
    columns: frozenset[str] = frozenset()
    parameters: frozenset[int] = frozenset()


def inspect(sql: str) -> Inspection:
    """Take a statement apart; one that the grammar cannot read is refused."""
    tree = parsed(sql)
    if tree is None:
        return Inspection(("PostgreSQL's grammar cannot read it",))
    if len(tree.stmts) != 1:
        return Inspection((f"{len(tree.stmts)} statements instead of one",))
    statement = tree.stmts[0].stmt
    top = getattr(statement, statement.WhichOneof("node"))
    kind = top.DESCRIPTOR.name
    reasons = [] if kind == "SelectStmt" else [f"it is no SELECT ({_word(kind)})"]
    parts = _Parts()
    for message in _messages(statement):
        reasons += _refused(message)
        parts.add(message)
    return Inspection(
        reasons=tuple(dict.fromkeys(reasons)),
        planned=kind == "SelectStmt" or kind in _CHANGES,
        functions=frozenset(parts.functions),
        operators=frozenset(parts.operators | COMPARISONS),
        types=frozenset(parts.types),
        relations=frozenset(parts.relations),
        columns=frozenset(parts.columns),
        parameters=frozenset(parts.parameters),
    )


def _word(kind: str) -> str:
    return _CHANGES.get(kind, kind.removesuffix("Stmt"))


def _messages(message: Any) -> Iterator[Any]:
    """Every node of a parse tree."""
    pending = [message]
    while pending:
        one = pending.pop()
        yield one
        for field, value in one.ListFields():
            if field.message_type is not None:
                pending += value if field.is_repeated else [value]


def _refused(message: Any) -> Iterator[str]:
    kind = message.DESCRIPTOR.name
    if kind in _CHANGES:
        yield f"it has {_word(kind)} in it"
    elif kind == "SelectStmt":
        if message.HasField("into_clause"):
            yield "SELECT INTO makes a table"
        if message.locking_clause:
            yield "it locks rows (FOR UPDATE or FOR SHARE)"
    elif kind == "RangeTableSample":
        names = [n.string.sval for n in message.method]
        if names[-1] not in ("bernoulli", "system"):
            yield f"TABLESAMPLE {names[-1]} is no method of PostgreSQL's own"
    elif kind == "SortBy" and message.use_op:
        yield "ORDER BY USING an operator"


class _Parts:
    """What is collected on the way through a tree."""

    def __init__(self) -> None:
        self.functions: set[tuple[str, str]] = set()
        self.operators: set[str] = set()
        self.types: set[tuple[str, str]] = set()
        self.relations: set[tuple[str, str]] = set()
        self.columns: set[str] = set()
        self.parameters: set[int] = set()

    def add(self, message: Any) -> None:
        """Note what one node names."""
        kind = message.DESCRIPTOR.name
        if kind == "FuncCall":
            self.functions.add(_last_two(message.funcname))
        elif kind == "A_Expr":
            self.operators |= {n.string.sval for n in message.name[-1:]}
        elif kind == "SubLink":
            self.operators |= {n.string.sval for n in message.oper_name[-1:]} or {"="}
        elif kind == "TypeName":
            self.types.add(_last_two(message.names))
        elif kind == "RangeVar":
            self.relations.add((message.schemaname, message.relname))
        elif kind == "ColumnRef":
            self.columns |= {f.string.sval for f in message.fields if f.HasField("string")}
        elif kind == "A_Indirection":
            self.columns |= {i.string.sval for i in message.indirection if i.HasField("string")}
        elif kind == "ParamRef":
            self.parameters.add(message.number)


def _last_two(names: Any) -> tuple[str, str]:
    words = [n.string.sval for n in names]
    return (words[-2] if len(words) > 1 else "", words[-1] if words else "")
