"""The values rule: which literal or parameter of a statement varies, and where it stands."""

import re
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple
from zlib import crc32

MOST_VALUES = 64
"""Literals of one statement that are looked at; with more it is a batch."""

EQUAL, RANGE, PAGE, BATCH, ELSE = "erpb-"
"""Where a value stands: ``column = value``, a range, LIMIT or OFFSET, a list, anywhere else."""

_VALUES = re.compile(
    rb"""
      (?P<comment>/\*.*?(?:\*/|\Z)|--[^\n]*)
    | (?P<name>"(?:[^"]|"")*(?:"|\Z))
    | (?P<literal>
        \b[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z)
      | (?:\b[bBnNxX])?'(?:[^']|'')*(?:'|\Z)
      | \$(?P<tag>[A-Za-z_]\w*|)\$.*?(?:\$(?P=tag)\$|\Z)
      | (?<![\w$."])(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\b)
    | \$(?P<number>\d+)
    """,
    re.VERBOSE | re.DOTALL,
)
_PARAMETERS = re.compile(rb"\$(\d+) = ('(?:[^']|'')*'|NULL)")
_ARRAY = re.compile(rb"'\{[^}]*,")


class Sample(NamedTuple):
    """One distinct execution: where its values stand, one letter each, and their hashes.

    ``known`` is False when the log has no values of its parameters.
    """

    places: str
    hashes: tuple[int, ...]
    known: bool


def sample(text: bytes, parameters: bytes) -> Sample:
    """Look at one execution."""
    found = _tokens(text)
    if len(found) > MOST_VALUES:
        return Sample(BATCH, (0,), known=True)
    given = dict(_PARAMETERS.findall(parameters)) if parameters else {}
    values = [given.get(t[1:], t) if t[:1] == b"$" else t for _, t in found]
    places = _places(*_skeleton(text, found))
    spread = "".join(
        BATCH if _ARRAY.match(value) else place for place, value in zip(places, values, strict=True)
    )
    known = all(t[:1] != b"$" or t[1:] in given for _, t in found)
    return Sample(spread, tuple(map(crc32, values)), known)


def shown(text: bytes, parameters: bytes) -> str:
    """The values of one execution, for people who may see them."""
    given = dict(_PARAMETERS.findall(parameters)) if parameters else {}
    values = [given.get(t[1:], t) if t[:1] == b"$" else t for _, t in _tokens(text)]
    return b", ".join(values[:4]).decode(errors="replace")[:80]


def _tokens(text: bytes) -> list[tuple[int, bytes]]:
    """(offset, literal or $n) in order."""
    return [
        (m.start(), m[0])
        for m in _VALUES.finditer(text)
        if m["literal"] is not None or m["number"] is not None
    ]


def _skeleton(text: bytes, found: list[tuple[int, bytes]]) -> tuple[bytes, tuple[int, ...]]:
    """The statement with the same literals whatever they were, and where they stand in it."""
    parts: list[bytes] = []
    offsets: list[int] = []
    at = length = 0
    for start, token in found:
        plain = _plain(token)
        offsets.append(length + start - at)
        parts += (text[at:start], plain)
        length += start - at + len(plain)
        at = start + len(token)
    return b"".join((*parts, text[at:])), tuple(offsets)


def _plain(token: bytes) -> bytes:
    if token[-1:] == b"'":
        return token if token[:1] in b"bBxX" else b"'x'"
    if token[:1] == b"$":
        return token if token[1:].isdigit() else b"'x'"
    return b"1"


@lru_cache(maxsize=1 << 14)
def _places(text: bytes, offsets: tuple[int, ...]) -> str:
    """One letter per literal; ``-`` for what the grammar does not show."""
    import postgast

    places: dict[int, str] = {}
    with suppress(postgast.PgQueryError, UnicodeDecodeError):
        tree = postgast.parse(text.decode())
        for statement in tree.stmts:
            _walk(statement.stmt, ELSE, places)
    # The grammar has the sign at the literal's own place, the text before it.
    return "".join(places.get(at) or places.get(at - 1, ELSE) for at in offsets)


def _walk(message: Any, place: str, places: dict[int, str]) -> None:
    """Note the place of every constant and parameter below a node of the tree."""
    name = message.DESCRIPTOR.name
    if name in ("A_Const", "ParamRef"):
        places[message.location] = place
        return
    if name == "SelectStmt" and len(message.values_lists) > 1:
        place = BATCH
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        below = _below(name, field.name, message, place)
        for child in value if _is_list(value) else (value,):
            _walk(child, below, places)


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


def varying(samples: list[Sample]) -> str | None:
    """Letters of the places whose values differ between samples.

    None when they cannot be compared: lists of different lengths.
    """
    if len({len(s.hashes) for s in samples}) > 1:
        return None
    columns = zip(*(s.hashes for s in samples), strict=True)
    varied = [i for i, column in enumerate(columns) if len(set(column)) > 1]
    return "".join(sorted({s.places[i] for s in samples for i in varied}))
