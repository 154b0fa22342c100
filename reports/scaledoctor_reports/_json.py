"""JSON text that is safe to print: invisible and control characters are escapes."""

import re
from typing import Any

import msgspec

from scaledoctor_reports.escape import visible


def dumps(value: Any) -> str:
    """Return a document of plain data, indented by one, with a newline at its end."""
    text = msgspec.json.format(msgspec.json.encode(_clean(value)), indent=1).decode()
    return _inert(text) + "\n"


def _clean(value: Any) -> Any:
    """Show lone surrogates as escapes: UTF-8 cannot hold them."""
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, str):
        return re.sub("[\ud800-\udfff]", lambda m: visible(m[0]), value)
    return value


def _inert(text: str) -> str:
    r"""Write invisible and control characters as \u escapes: the same JSON, safe to print."""
    return "\n".join(
        row if visible(row) == row else "".join(c if visible(c) == c else _escape(c) for c in row)
        for row in text.split("\n")
    )


def _escape(character: str) -> str:
    pairs = character.encode("utf-16-be")
    return "".join(f"\\u{pairs[i]:02x}{pairs[i + 1]:02x}" for i in range(0, len(pairs), 2))
