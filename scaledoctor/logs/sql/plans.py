"""The statement that auto_explain's plan entry repeats, in its four formats."""

import re
from html import unescape

_TEXT = re.compile(rb"Query Text: (.*?)(?=\n(?:Query Parameters: |[^\n]*\(cost=)|\Z)", re.S)
_JSON = re.compile(rb'"Query Text": ("(?:[^"\\]|\\.)*+")')
_XML = re.compile(rb"<Query-Text>(.*?)</Query-Text>", re.S)
_YAML = re.compile(rb'Query Text: ("(?:[^"\\]|\\.)*+")')


def planned(body: bytes) -> bytes:
    """The statement of a plan, empty when it has none."""
    body = body.lstrip()
    if body.startswith(b"{") and (found := _JSON.search(body)):
        return _unquoted(found[1])
    if body.startswith(b"<") and (found := _XML.search(body)):
        return unescape(found[1].decode("utf-8", "replace")).encode()
    if found := _YAML.match(body):
        return _unquoted(found[1])
    found = _TEXT.search(body)
    return found[1].strip() if found else b""


def _unquoted(text: bytes) -> bytes:
    import json

    try:
        return str(json.loads(text, strict=False)).encode("utf-8", "replace")
    except ValueError:
        return text.strip(b'"')
