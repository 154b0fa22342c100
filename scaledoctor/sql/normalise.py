"""Statements without their literals."""

import re
from contextlib import suppress
from functools import lru_cache

# What the grammar leaves in place (comments, literals of utility statements) and what it
# cannot read at all (texts cut off by track_activity_query_size).
_RESIDUE = re.compile(
    r"""
      (?P<identifier>"(?:[^"]|"")*(?:"|\Z))
    | (?P<comment>--[^\n]* | /\*.*?(?:\*/|\Z))
    | \$(?P<tag>[A-Za-z_]*)\$.*?(?:\$(?P=tag)\$|\Z)
    | (?:\b[EBXNebxn]|\b[Uu]&)?'(?:[^'\\]|''|\\.)*(?:'|\Z)
    | (?P<number>(?<![\w$.])[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b)
    """,
    re.VERBOSE | re.DOTALL,
)

_QUERY = re.compile(
    r"(?:\s|/\*.*?\*/)*(?:select|insert|update|delete|merge|with|values)\b", re.I | re.S
)


@lru_cache(maxsize=2048)
def normalise(sql: str) -> str:
    """Return the statement without literals and comments.

    Literals become ``$n`` where PostgreSQL's own grammar reads the statement and ``?`` where it
    cannot, which errs on the side of masking too much. The numbers that the grammar leaves in a
    query are positions (ORDER BY 1) and sizes of types: without them it could not be planned.
    """
    import postgast

    keep = {"identifier"}
    with suppress(postgast.PgQueryError):
        sql = postgast.normalize(sql)
        keep |= {"number"} if _QUERY.match(sql) else set()

    def mask(match: re.Match[str]) -> str:
        kept = next((match[name] for name in keep if match[name] is not None), None)
        if kept is not None:
            return kept
        return "" if match["comment"] is not None else "?"

    return _RESIDUE.sub(mask, sql).strip()


def shorten(sql: str, width: int = 120) -> str:
    """Return the statement on one line, cut to ``width`` characters with an ellipsis."""
    line = " ".join(sql.split())
    return line if len(line) <= width else line[: width - 1] + "…"
