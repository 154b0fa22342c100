"""log_line_prefix as a regular expression, whatever stands in it."""

import re

from scaledoctor.logs.sql.words import SEVERITIES

PRIMARY = (
    b"LOG", b"ERROR", b"FATAL", b"PANIC", b"WARNING", b"NOTICE", b"INFO", b"DEBUG",
    b"DEBUG1", b"DEBUG2", b"DEBUG3", b"DEBUG4", b"DEBUG5",
)  # fmt: skip
SECONDARY = (b"DETAIL", b"HINT", b"QUERY", b"CONTEXT", b"STATEMENT", b"LOCATION", b"BACKTRACE")
"""Lines that belong to the message before them."""

_TIME = rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
_ZONE = rb"[A-Za-z0-9+:-]{1,10}"
_ESCAPE = re.compile(r"%(-?\d*)([A-Za-z%])")

_EXACT = {
    "m": rb"(?P<when>%s)\.(?P<part>\d{3}) (?P<zone>%s)" % (_TIME, _ZONE),
    "t": rb"(?P<when>%s) (?P<zone>%s)" % (_TIME, _ZONE),
    "n": rb"(?P<epoch>\d{10})\.(?P<part>\d{3})",
    "s": rb"%s %s" % (_TIME, _ZONE),
    "p": rb"(?P<pid>\d{1,10})",
    "c": rb"(?P<session>[0-9a-f]{1,16}\.[0-9a-f]{1,8})",
    "e": rb"(?P<sqlstate>[0-9A-Z]{5})",
    "l": rb"\d{1,19}",
    "P": rb"\d{0,10}",
    "v": rb"(?:-?\d{1,10}/\d{1,19})?",
    "x": rb"\d{1,19}",
    "Q": rb"-?\d{1,20}",
    "i": rb"[A-Za-z ]{0,63}?",
    "r": rb"(?:[^\s(]{0,255}\(\d{0,5}\)|\[local\])?",
    "h": rb"(?:[\w.:%-]{0,255}|\[local\])",
    "L": rb"(?:[\w.:%-]{0,255}|\[local\])",
}
_NAMED = {"u": b"user", "d": b"database", "a": b"application", "b": b""}
_VERBOSE = rb":  (?:(?P<state>[0-9A-Z]{5}): )?+"


def pattern(prefix: str) -> bytes:
    """The prefix as a pattern with named groups; each field is captured once."""
    parts: list[bytes] = []
    seen: set[bytes] = set()
    optional = False
    last = 0
    for found in _ESCAPE.finditer(prefix):
        parts.append(re.escape(prefix[last : found.start()].encode()))
        last = found.end()
        if found[2] == "q":
            parts.append(b"" if optional else b"(?:")
            optional = True
            continue
        parts.append(_field(found, prefix[last : last + 1], seen))
    parts.append(re.escape(prefix[last:].encode()))
    return b"".join(parts) + (b")?" if optional else b"")


def entry_start(prefix: str, *, primary: bool = False) -> bytes:
    """The prefix and the severity: how every line of a message begins but continued ones.

    With ``primary`` only the first line of a message.
    """
    words = [*PRIMARY, *(() if primary else SECONDARY)]
    words += [word for word, plain in SEVERITIES.items() if plain in words]
    known = b"|".join(re.escape(word) for word in words)
    return b"^%s(?P<severity>%s)%s" % (pattern(prefix), known, _VERBOSE)


def _field(found: re.Match[str], following: str, seen: set[bytes]) -> bytes:
    padding, kind = found[1], found[2]
    if kind == "%":
        return b"%"
    fill = b" {0,64}" if padding else b""
    text = _EXACT.get(kind) or _text(kind, following)
    for group in re.findall(rb"\(\?P<(\w+)>", text):
        if group in seen:
            text = text.replace(b"(?P<%s>" % group, b"(?:")
        seen.add(group)
    return fill + text + fill


def _text(kind: str, following: str) -> bytes:
    """Names may hold anything; a database's stops where the prefix goes on."""
    group = _NAMED.get(kind)
    if group is None:
        return b""
    stop = re.escape(following.encode())
    body = rb"[^\n%s]{0,63}" % stop if kind == "d" and following else rb"[^\n]{0,63}?"
    return b"(?P<%s>%s)" % (group, body) if group else b"(?:%s)" % body
