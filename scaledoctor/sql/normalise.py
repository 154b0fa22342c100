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
    | (?<![\w$.])[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b
    """,
    re.VERBOSE | re.DOTALL,
)


@lru_cache(maxsize=2048)
def normalise(sql: str) -> str:
    """Return the statement without literals and comments.

    Literals become ``$n`` where PostgreSQL's own grammar reads the statement and ``?`` where it
    cannot, which errs on the side of masking too much.
    """
    import postgast

    with suppress(postgast.PgQueryError):
        sql = postgast.normalize(sql)
    return _RESIDUE.sub(_mask, sql).strip()


def _mask(match: re.Match[str]) -> str:
    if match["identifier"] is not None:
        return match["identifier"]
    return "" if match["comment"] is not None else "?"


def shorten(sql: str, width: int = 120) -> str:
    """Return the statement on one line, cut to ``width`` characters with an ellipsis."""
    line = " ".join(sql.split())
    return line if len(line) <= width else line[: width - 1] + "…"
