"""EXPLAIN (FORMAT XML)."""

import re
from collections.abc import Mapping
from typing import Any

# A plan has no document type; what expands entities is refused before it is parsed.
from xml.etree import ElementTree

_LISTS = ("Plans", "Triggers", "Workers")
_SPELLED = (("I O ", "I/O "), ("Full sort", "Full-sort"), ("Pre sorted", "Pre-sorted"))


def xml_plan(text: str) -> Mapping[str, Any]:
    """The first query's plan as EXPLAIN's JSON object; ValueError when it cannot be read."""
    if re.search(r"<!(?:DOCTYPE|ENTITY)", text):
        raise ValueError("the XML has a document type")
    start, end = text.find("<explain"), text.rfind("</explain>")
    if end < 0:
        raise ValueError("the XML breaks off")
    try:
        root = ElementTree.fromstring(text[start : end + len("</explain>")])  # noqa: S314  no entities: refused above
    except ElementTree.ParseError as error:
        raise ValueError(f"the XML is not well formed: {error}") from None
    value = _value(root[0])
    if not isinstance(value, dict):
        raise ValueError("the XML holds no query")
    return value


def _name(element: ElementTree.Element) -> str:
    name = element.tag.rpartition("}")[2].replace("-", " ")
    for wrong, right in _SPELLED:
        name = name.replace(wrong, right)
    return name


def _value(element: ElementTree.Element) -> Any:
    name = _name(element)
    if len(element) == 0:
        return [] if name in _LISTS else element.text or ""
    if name in _LISTS or all(_name(child) == "Item" for child in element):
        return [_value(child) for child in element]
    return {_name(child): _value(child) for child in element}
