"""What the columns behind a request are, told from a sample of their values and their keys.

nginx has no canonical format with upstream fields: everybody writes a ``log_format`` of his own,
with keys (``rt=0.123 urt="0.120"``) or without.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

# Possessive quantifiers: what a hostile client puts into a line must not make us go back over it.
QUOTED = rb'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"'
BRACKETS = rb"\[[^\]\n]*+\]"
BARE = rb'[^\s,"]++(?:(?:,| :) [^\s,"]++)*+'

AGREED = 0.5
"""Share of the sample that must have the same columns."""

MOSTLY = 0.8
"""Share of a column's values that must have its form."""

FEW = 64
"""Addresses in a sample, above which they are clients and not upstreams."""

_COLUMN = re.compile(
    rb"(?<! ) ++(?:([A-Za-z_][\w.-]*+)=)?+(" + b"|".join((QUOTED, BRACKETS, BARE)) + b")"
)

_SECONDS = rb"(?:-|\d{1,6}\.\d{3,6})"  # nginx writes three decimals; gzip_ratio has two
_ADDRESS = rb"(?:-|(?:https?://)?(?:\[[0-9a-fA-F:.]+\]|[\w.-]+):\d+/?|unix:[^\s,\"]+)"


def _several(one: bytes) -> re.Pattern[bytes]:
    """One value, or the list of them that nginx writes when it tries several servers."""
    return re.compile(one + rb"(?:(?:,| :) " + one + rb")*")


_TIMES, _ADDRESSES, _ANSWERS = map(_several, (_SECONDS, _ADDRESS, rb"(?:-|\d{3})"))
_MILLISECONDS = re.compile(rb"\d+ms")

_UPSTREAM_KEY = re.compile(r"u|.*upstream", re.I)
_PART_KEY = re.compile(r"uc|uh|.*(?:conn|head|first)", re.I)
_ADDRESS_KEY = re.compile(r"u?addr|ua|.*upstream|.*backend", re.I)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its place, its key, the character that opens it, and its values."""

    place: int
    key: str
    opens: bytes
    values: tuple[bytes, ...]

    def holds(self, pattern: re.Pattern[bytes]) -> bool:
        """Whether four of five values have this form, and not all of them are empty.

        nginx writes the name of a group for an address when none of its servers is up.
        """
        fit = sum(pattern.fullmatch(value) is not None for value in self.values)
        return fit >= MOSTLY * len(self.values) and set(self.values) != {b"-"}

    @property
    def seconds(self) -> float:
        """The sum of its times."""
        return sum(float(n) for value in self.values for n in re.findall(rb"\d+\.\d+", value))

    @property
    def listed(self) -> bool:
        """Whether some value is a list or is empty, as only upstream fields are."""
        return any(b" " in value or value == b"-" for value in self.values)


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a format, and which of them are what we look for (None: it has none)."""

    all: tuple[Column, ...] = ()
    total: Column | None = None
    spent: Column | None = None
    addresses: Column | None = None
    answers: Column | None = None

    @property
    def milliseconds(self) -> bool:
        """Whether its request time is in ms, as Traefik writes it."""
        return self.total is not None and self.total.holds(_MILLISECONDS)


def infer(sample: Sequence[tuple[bytes, bytes]]) -> Columns:
    """Tell the columns from pairs of status and all that stands behind the bytes sent."""
    split = [(status, _split(tail)) for status, tail in sample]
    shapes = Counter(tuple((key, opens) for key, opens, _ in row) for _, row in split)
    shape, times = shapes.most_common(1)[0] if shapes else ((), 0)
    if times < AGREED * len(sample):
        return Columns()
    same = [(status, row) for status, row in split if tuple(c[:2] for c in row) == shape]
    columns = tuple(
        Column(i, key.decode(), opens, tuple(row[i][2] for _, row in same))
        for i, (key, opens) in enumerate(shape)
    )
    total, spent = _times(columns)
    answers = _answering(columns, [status for status, _ in same])
    addresses = _addresses(columns, sure=spent is not None or answers is not None)
    return Columns(columns, total, spent, addresses, answers)


def _split(tail: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """Key, opening character and bare value of each column."""
    found: list[tuple[bytes, bytes, bytes]] = []
    for key, text in _COLUMN.findall(tail):
        opens = text[:1] if text[:1] in (b'"', b"[") else b""
        found.append((key, opens, text[1:-1] if opens else text))
    return found


def _times(columns: Sequence[Column]) -> tuple[Column | None, Column | None]:
    """The request time, which no other time exceeds, and the largest of the upstream's."""
    milliseconds = next((c for c in columns if c.holds(_MILLISECONDS)), None)
    times = [c for c in columns if c.holds(_TIMES) and not (c.key and _PART_KEY.match(c.key))]
    whole = [c for c in times if not c.listed and not (c.key and _UPSTREAM_KEY.match(c.key))]
    total = max(whole, key=lambda c: c.seconds, default=None)
    rest = [c for c in times if c is not total]
    spent = max(reversed(rest), key=lambda c: c.seconds, default=None)
    return (milliseconds, None) if milliseconds else (total, spent)


def _answering(columns: Sequence[Column], statuses: Sequence[bytes]) -> Column | None:
    """The column whose last answer is what the client got, in four of five requests."""
    for column in reversed(columns):
        if not column.holds(_ANSWERS):
            continue
        pairs = [(v, s) for v, s in zip(column.values, statuses, strict=True) if v != b"-"]
        if sum(v.endswith(s) for v, s in pairs) >= MOSTLY * len(pairs):
            return column
    return None


def _addresses(columns: Sequence[Column], *, sure: bool) -> Column | None:
    """The upstreams: by key, else the last few addresses of a format with upstream fields.

    Referrers are full URLs too: the first two quoted columns without a key are never it.
    """
    fit = [c for c in columns if c.holds(_ADDRESSES)]
    keyed = [c for c in fit if c.key and _ADDRESS_KEY.match(c.key)]
    few = [c for c in fit if not c.key and len(set(c.values)) <= FEW]
    bare = [c for c in few if not (c.opens == b'"' and c.place < 2)]
    if keyed or not bare:
        return keyed[0] if keyed else None
    urls = [c for c in bare if c.opens == b'"']
    return bare[-1] if sure else next(reversed(urls), None)
