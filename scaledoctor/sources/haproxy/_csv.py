"""HAProxy's CSV: columns by their names, so that every version can be read."""

import csv
from collections.abc import Iterator, Mapping

from scaledoctor.errors import Unavailable

FRONTEND, BACKEND, SERVER = "0", "1", "2"
"""The column ``type``; listeners (3) are left out."""

HEADER = "# pxname,svname,"

MOST_ROWS = 250_000
"""Twice as many as fit into the largest answer that is real, which has long lines."""

Row = Mapping[str, str]
"""One line of the CSV by column."""


def check_header(text: str, looks: str) -> None:
    """Say what it is when it is not HAProxy's CSV.

    Raises:
        Unavailable: it begins otherwise.

    """
    if not text.strip():
        raise Unavailable("the answer is empty")
    if not text.startswith(HEADER):
        raise Unavailable(f"not HAProxy's statistics but {looks}", "is this the stats page's URL?")


def rows(text: str) -> Iterator[Row]:
    """Frontends, backends and servers in the order of the configuration.

    Raises:
        Unavailable: a line has fewer fields than the header, or cannot be read at all.

    """
    reader = csv.reader(text.removeprefix("# ").splitlines())
    try:
        names = next(reader)
        for fields in reader:
            if not fields:
                continue
            if reader.line_num > MOST_ROWS:
                raise Unavailable(f"HAProxy's CSV has more than {MOST_ROWS:,} lines")
            if len(fields) < len(names):
                raise Unavailable(f"HAProxy's CSV is cut off in line {reader.line_num}")
            row = dict(zip(names, fields, strict=False))
            if row.get("type") in (FRONTEND, BACKEND, SERVER):
                yield row
    except csv.Error as error:
        raise Unavailable(f"HAProxy's CSV cannot be read: {error}") from None


def count(row: Row, column: str) -> int | None:
    """A number; None when the column is empty, absent or holds something else."""
    text = row.get(column, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def number(row: Row, column: str) -> int:
    """As :func:`count`, 0 for None: counters that every version has."""
    return count(row, column) or 0
