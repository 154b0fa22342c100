"""Comments that name the request: sqlcommenter's, Marginalia's, and those of hand."""

import re
from urllib.parse import unquote_to_bytes

_PAIR = re.compile(rb"([A-Za-z_][\w.]*)\s*[=:]\s*(?:'((?:[^'\\]|\\.)*)'|([^,'*\s]+))")
_TRACE = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-")
_REQUESTS = (b"trace_id", b"request_id", b"requestid", b"x_request_id")
_ROUTES = (b"route", b"job", b"task", b"function", b"view", b"path")
_LONGEST = 2048


def cut(text: bytes) -> tuple[bytes, bytes, bytes]:
    """A statement without the comment around it, what that says of the route, and the request.

    A comment within the statement stays: the template is made without it.
    """
    said = []
    text = text.strip(b" ;\r\n\t")
    while text.startswith(b"/*") and (end := text.find(b"*/")) > 0:
        said.append(text[2:end])
        text = text[end + 2 :].lstrip()
    while text.endswith(b"*/") and (start := text.rfind(b"/*")) >= 0:
        said.append(text[start + 2 : -2])
        text = text[:start].rstrip(b" ;\r\n\t")
    tag, request = b"", b""
    for comment in said:
        found = _pairs(comment[:_LONGEST])
        tag, request = tag or _route(found), request or _request(found)
    return text, tag, request


def _pairs(comment: bytes) -> dict[bytes, bytes]:
    return {
        m[1].lower(): unquote_to_bytes(m[2] if m[2] is not None else m[3])
        for m in _PAIR.finditer(comment)
    }


def _route(found: dict[bytes, bytes]) -> bytes:
    if controller := found.get(b"controller"):
        action = found.get(b"action", b"")
        return controller + b"#" + action if action else controller
    return next((found[name] for name in _ROUTES if found.get(name)), b"")[:200]


def _request(found: dict[bytes, bytes]) -> bytes:
    if trace := _TRACE.search(found.get(b"traceparent", b"")):
        return trace[1]
    return next((found[name] for name in _REQUESTS if found.get(name)), b"")[:64]
