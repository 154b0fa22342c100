"""Expressions of a plan without their literals, still readable by the grammar."""

import re

_PART = re.compile(
    r"""
      (?P<name>
          "(?:[^"]|"")*(?:"|\Z)
        | \b(?:Init|Sub)Plan\s\d+
        | ::[a-z][a-z ]*\(\d+(?:,\d+)?\)
        | [^\W\d][\w$]* | \$\d+
      )
    | (?P<text>'(?:[^']|'')*(?:'|\Z))
    | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    """,
    re.VERBOSE,
)


def mask(expression: str) -> str:
    """Return an expression of EXPLAIN with each literal as ``'?'``.

    A pattern keeps the wildcard it begins with and an array the number of its elements: both say
    how a condition can be served, neither tells a value.
    """
    return _PART.sub(_masked, expression)


def _masked(match: re.Match[str]) -> str:
    if match["name"] is not None:
        return match["name"]
    if match["number"] is not None:
        return "'?'"
    inner = match["text"].strip("'")
    if inner.startswith("{") and inner.endswith("}"):
        return "'{" + ",".join("?" * (inner.count(",") + 1)) + "}'"
    return "'%?'" if inner[:1] in ("%", "_") else "'?'"
