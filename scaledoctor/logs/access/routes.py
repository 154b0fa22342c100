"""Routes: method and path without what differs from one request to the next."""

import re
from itertools import pairwise

DEEPEST = 6
"""Path segments that are kept."""

NONE = "(no request)"
OTHER = "(other)"

_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.I)
_HEX = re.compile(r"\b(?=[a-f]*[0-9])[0-9a-f]{6,}\b", re.I)
_PLAIN = re.compile(r"[A-Za-z0-9._~-]{0,40}")
_VERSION = re.compile(r"[a-z]+[0-9]|v[0-9]{1,2}")
_DIGITS = re.compile(r"[0-9]+(?:[-_.,:][0-9]+)*")
_TOKEN = 16
"""Letters from which a word may be a token."""


def route(request: bytes) -> str:
    """``GET /orders/4711/items?x=1`` as ``GET /orders/:id/items``; printable ASCII whatever comes.

    Numbers, dates, UUIDs, hexadecimal and long random words become ``:id``, in a part of a name
    too (``report-:id.pdf``). So does whatever is no plain word, such as an address or an escape
    code. Query, fragment and ``;jsessionid`` go.
    """
    method, _, target = request.decode("ascii", "replace").partition(" ")
    if not target or not method.isalpha():
        return NONE
    return f"{method.upper()[:10]} {path_of(target)}"


def path_of(target: str) -> str:
    """The path of a request target or URL, normalised as in :func:`route`."""
    path = re.split(r"[?#;]", target, maxsplit=1)[0]
    if "://" in path[:10]:
        path = "/" + path.partition("://")[2].partition("/")[2]
    if not path.startswith("/"):
        return "*" if path == "*" else ":id"
    segments = path[1:].split("/")
    kept = [segment(text) for text in segments[:DEEPEST]]
    return "/" + "/".join(kept) + ("/..." if len(segments) > DEEPEST else "")


def segment(text: str) -> str:
    """One part of a path, or ``:id`` in its place."""
    if not text or _VERSION.fullmatch(text):
        return text
    name = _DIGITS.sub(":id", _HEX.sub(":id", _UUID.sub(":id", text)))
    rest = name.replace(":id", "")
    return ":id" if not _PLAIN.fullmatch(rest) or _random(text) else name


def _random(text: str) -> bool:
    """A long word without a break whose kinds of letters change all the time: a token."""
    if len(text) < _TOKEN or set(text) & set("-_.~"):
        return False
    kinds = [c.isdigit() + 2 * c.isupper() for c in text]
    changes = sum(a != b for a, b in pairwise(kinds))
    return len(text) > 2 * _TOKEN or changes * 3 >= len(text)
