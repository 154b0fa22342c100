"""EXPLAIN (FORMAT YAML): the small part of YAML that PostgreSQL writes."""

import json
from collections.abc import Mapping
from typing import Any

_Line = tuple[int, str]


def yaml_plan(text: str) -> Mapping[str, Any]:
    """The first query's plan as EXPLAIN's JSON object; ValueError when it cannot be read."""
    lines = list(_lines(text))
    value, _ = _block(lines, 0)
    while isinstance(value, list):
        value = value[0]
    if not isinstance(value, dict):
        raise ValueError("the YAML holds no plan")
    return value


def _lines(text: str) -> list[_Line]:
    """Each line's indent and text; ``- x: y`` becomes a dash and, two columns on, ``x: y``."""
    found: list[_Line] = []
    for line in text.splitlines():
        bare = line.strip()
        indent = len(line) - len(line.lstrip())
        if bare.startswith("- "):
            found.append((indent, "-"))
            bare, indent = bare[2:].strip(), indent + 2
        if bare:
            found.append((indent, bare))
    return found


def _block(lines: list[_Line], at: int) -> tuple[Any, int]:
    """Read what begins at a line: a list, an object or one scalar; and the line behind it."""
    indent, text = lines[at]
    if text == "-":
        items: list[Any] = []
        while at < len(lines) and lines[at] == (indent, "-"):
            item, at = _block(lines, at + 1)
            items.append(item)
        return items, at
    if _key(text) is None:
        return _scalar(text), at + 1
    found: dict[str, Any] = {}
    while at < len(lines) and lines[at][0] == indent and (key := _key(lines[at][1])):
        value = lines[at][1][len(key) + 1 :].strip()
        at += 1
        if value:
            found[key] = _scalar(value)
        elif at < len(lines) and lines[at][0] > indent:
            found[key], at = _block(lines, at)
        else:
            found[key] = ""
    return found, at


def _key(text: str) -> str | None:
    if text.startswith('"'):
        return None
    name, colon, _ = text.partition(":")
    return name if colon else None


def _scalar(text: str) -> Any:
    if text.startswith('"'):
        return json.loads(text)
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return text
