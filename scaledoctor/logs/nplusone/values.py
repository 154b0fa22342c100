"""The values rule: which literal or parameter of a statement varies, and where it stands."""

import re
from typing import NamedTuple
from zlib import crc32

from scaledoctor.sql.places import BATCH, places

MOST_VALUES = 64
"""Literals of one statement that are looked at; with more it is a batch."""

# The look-ahead makes it eight times as fast: most characters begin nothing.
_VALUES = re.compile(
    rb"""(?=[-/"'$.\d])(?:
      (?P<comment>/\*.*?(?:\*/|\Z)|--[^\n]*)
    | (?P<name>"[^"]*(?:""[^"]*)*(?:"|\Z))
    | (?P<literal>
        (?<=\b[eE])'[^'\\]*(?:(?:\\.|'')[^'\\]*)*(?:'|\Z)
      | '[^']*(?:''[^']*)*(?:'|\Z)
      | \$(?P<tag>[A-Za-z_]\w*|)\$.*?(?:\$(?P=tag)\$|\Z)
      | (?<![\w$."])(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\b)
    | \$(?P<number>\d+))
    """,
    re.VERBOSE | re.DOTALL,
)
_PARAMETERS = re.compile(rb"\$(\d+) = ('[^']*(?:''[^']*)*'|NULL)")
_ARRAY = re.compile(rb"'\{[^}]*,")


class Sample(NamedTuple):
    """One distinct execution: where its values stand, one letter each, and their hashes.

    ``known`` is False when the log has no values of its parameters.
    """

    places: str
    hashes: tuple[int, ...]
    known: bool


def sample(text: bytes, parameters: bytes) -> Sample:
    """Look at one execution."""
    found = _tokens(text)
    if len(found) > MOST_VALUES:
        return Sample(BATCH, (0,), known=True)
    given = dict(_PARAMETERS.findall(parameters)) if parameters else {}
    values = [given.get(t[1:], t) if t[:1] == b"$" else t for _, t in found]
    stand = places(*_skeleton(text, found))
    spread = "".join(
        BATCH if _ARRAY.match(value) else place for place, value in zip(stand, values, strict=True)
    )
    known = all(t[:1] != b"$" or t[1:] in given for _, t in found)
    return Sample(spread, tuple(map(crc32, values)), known)


def shown(text: bytes, parameters: bytes) -> str:
    """The values of one execution, for people who may see them."""
    given = dict(_PARAMETERS.findall(parameters)) if parameters else {}
    values = [given.get(t[1:], t) if t[:1] == b"$" else t for _, t in _tokens(text)]
    return b", ".join(values[:4]).decode(errors="replace")[:80]


def _tokens(text: bytes) -> list[tuple[int, bytes]]:
    """(offset, literal or $n) in order."""
    return [
        (m.start(), m[0])
        for m in _VALUES.finditer(text)
        if m["literal"] is not None or m["number"] is not None
    ]


def _skeleton(text: bytes, found: list[tuple[int, bytes]]) -> tuple[bytes, tuple[int, ...]]:
    """The statement with the same literals whatever they were, and where they stand in it."""
    parts: list[bytes] = []
    offsets: list[int] = []
    at = length = 0
    for start, token in found:
        plain = _plain(token)
        offsets.append(length + start - at)
        parts += (text[at:start], plain)
        length += start - at + len(plain)
        at = start + len(token)
    return b"".join((*parts, text[at:])), tuple(offsets)


def _plain(token: bytes) -> bytes:
    if token[:1] == b"'":
        return b"'x'"
    if token[:1] == b"$":
        return token if token[1:].isdigit() else b"'x'"
    return b"1"


def varying(samples: list[Sample]) -> list[int] | None:
    """The values, by number, that differ between samples.

    None when they cannot be compared: lists of different lengths.
    """
    if len({len(s.hashes) for s in samples}) > 1:
        return None
    columns = zip(*(s.hashes for s in samples), strict=True)
    return [i for i, column in enumerate(columns) if len(set(column)) > 1]
