"""Statements of MySQL without their literals: there "text" is a string and `name` a name."""

import re

_LITERAL = re.compile(
    r"""
      (?P<name>`(?:[^`]|``)*(?:`|\Z))
    | (?P<comment>/\*.*?(?:\*/|\Z) | (?:--\s|\#)[^\n]*)
    | (?:\b[xXbBnN]|_\w+\s*)?'(?:[^'\\]|''|\\.)*(?:'|\Z)
    | "(?:[^"\\]|""|\\.)*(?:"|\Z)
    | (?<![\w$.])(?:0[xX][0-9a-fA-F]+|[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\b
    """,
    re.VERBOSE | re.DOTALL,
)


def without_literals(statement: str) -> str:
    """Put ? for each string and number, and leave comments out."""

    def mask(match: re.Match[str]) -> str:
        if match["name"] is not None:
            return match["name"]
        return " " if match["comment"] is not None else "?"

    return " ".join(_LITERAL.sub(mask, statement).split())
