"""Common and combined formats, with whatever columns nginx or others have put behind them."""

import re
from collections.abc import Sequence
from operator import itemgetter
from typing import cast

from scaledoctor.logs import stamps
from scaledoctor.logs.access.columns import BARE, BRACKETS, QUOTED, Column, Columns, infer
from scaledoctor.logs.access.layout import REQUEST, Layout, Row

_HEAD = (
    rb"\[(?:\d\d/[A-Z][a-z]{2}/\d{4}:|\d{4}-\d\d-\d\dT)[^\]\n]{8,24}\] "
    + REQUEST
    + rb" (\d{3})(?: (?:\d+|-))?(?!\S)"
)
_LINE = re.compile(_HEAD + rb"([^\n]*)")
_FORMS = {b'"': QUOTED, b"[": BRACKETS, b"": BARE}
_TAKEN = {b'"': rb'"([^"\\\n]*+)"', b"[": rb"\[([^\]\n]*+)\]", b"": b"(" + BARE + b")"}


def combined(sample: Sequence[bytes]) -> Layout:
    """The layout of a sample of lines; it has at least request and status."""
    found = [match for line in sample if (match := _LINE.search(line))]
    columns = infer([(match[2], match[3]) for match in found])
    pattern, order = _pattern(columns)
    pick = itemgetter(*order)

    def rows(block: bytes) -> list[Row]:
        return cast("list[Row]", list(map(pick, pattern.findall(block))))

    return Layout(
        _name(columns),
        rows,
        _stamp,
        scale=0.001 if columns.milliseconds else 1.0,
        timed=columns.total is not None,
        upstream_timed=columns.spent is not None,
        upstreams=columns.addresses is not None,
        answers=columns.answers is not None,
        proxied=True,
    )


def _stamp(line: bytes) -> float | None:
    seen = stamps.common(line)
    return stamps.iso(line) if seen is None else seen


def _pattern(columns: Columns) -> tuple[re.Pattern[bytes], list[int]]:
    """A pattern of one line, and the order in which its groups make a Row."""
    roles = (columns.total, columns.spent, columns.addresses, columns.answers)
    wanted = sorted({c.place for c in roles if c is not None})
    text = _HEAD
    for column in columns.all[: wanted[-1] + 1 if wanted else 0]:
        text += _form(column, columns, taken=column.place in wanted)
    group = {place: number for number, place in enumerate(wanted, 2)}
    empty = len(wanted) + 2
    order = [0, 1, *(group[c.place] if c is not None else empty for c in roles), empty]
    return re.compile(text + rb"()[^\n]*"), order


def _form(column: Column, columns: Columns, *, taken: bool) -> bytes:
    """The pattern of one column; its bare value is a group when it is taken."""
    form = _FORMS[column.opens]
    if taken and columns.milliseconds and column is columns.total:
        form = rb"(\d+)ms"
    elif taken:
        form = _TAKEN[column.opens]
    key = re.escape(column.key.encode()) + b"=" if column.key else b""
    return b" ++" + key + form


def _name(columns: Columns) -> str:
    if columns.spent or columns.addresses:
        return "combined with upstream fields"
    kind = "combined" if sum(c.opens == b'"' for c in columns.all[:2]) == 2 else "common"
    return f"{kind} with request time" if columns.total else kind
