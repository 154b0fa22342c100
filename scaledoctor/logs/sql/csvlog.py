"""PostgreSQL's csvlog: 22 columns up to 8.4, 23 from 9.0, 24 in 13, 26 from 14 on."""

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager

from scaledoctor.logs.sql.clock import Clock
from scaledoctor.logs.sql.entry import LONGEST, Coverage, Entry, Format, lines_in, stamp_of
from scaledoctor.logs.sql.words import SEVERITIES

# A quoted field doubles its quotes, so that no statement can hold the first seven fields.
_START = re.compile(
    rb'^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [^,\n]{1,10},(?:"[^"\n]*"|),(?:"[^"\n]*"|),\d+,'
    rb'(?:"[^"\n]*"|[^,"\n]*),[0-9a-f]+\.[0-9a-f]+,\d+,',
    re.M,
)
COLUMNS = 22
_LINES = re.compile(r"[^\n]*\n|[^\n]+")
"""Lines with their ends; str.splitlines would cut at other signs too."""

FRACTIONS = {f"{millis:03}": millis / 1000 for millis in range(1000)}
"""Seconds of the three digits behind a time's point."""

_QUERY, _APPLICATION = 19, 22


class Known(dict[str, bytes]):
    """Short texts that come again and again, as bytes."""

    def __init__(self, encoding: str) -> None:
        super().__init__({"": b""})
        self.encoding = encoding

    def __missing__(self, text: str) -> bytes:
        """Encode it once."""
        found = self[text] = text.encode(self.encoding)
        return found


def _entries(block: bytes, coverage: Coverage) -> Iterator[Entry]:
    clock, make, known, fraction = Clock(), tuple.__new__, Known("latin-1"), FRACTIONS.get
    second, seconds = "", 0.0
    coverage.lines += lines_in(block)
    with _long_fields():
        for row in _rows(block, coverage):
            stamp, severity = row[0], known[row[11]]
            if stamp[:19] != second:
                second = stamp[:19]
                seconds = clock(_long(second), _long(stamp[24:]))
            detail, context, query = row[14], row[18], row[_QUERY]
            yield make(Entry, (
                seconds + fraction(stamp[20:23], 0.0),
                known[row[5]], SEVERITIES.get(severity, severity), _long(row[13]),
                _long(detail) if detail else b"", _long(query) if query else b"",
                _long(context) if context else b"", known[row[1]], known[row[2]],
                known[row[_APPLICATION]] if len(row) > _APPLICATION else b"",
                known[row[12]], b"",
            ))  # fmt: skip


def _long(text: str) -> bytes:
    return text[:LONGEST].encode("latin-1")


def _rows(block: bytes, coverage: Coverage) -> Iterator[list[str]]:
    """The rows that are messages; latin-1 keeps every byte as it is."""
    reader = csv.reader(_LINES.findall(block.decode("latin-1")))
    while True:
        try:
            for row in reader:
                if len(row) >= COLUMNS and row[0][4:5] == "-" and row[3].isdigit():
                    yield row
                else:
                    coverage.unread += 1 + sum(field.count("\n") for field in row)
        except csv.Error:
            coverage.unread += 1
            continue
        return


@contextmanager
def _long_fields() -> Iterator[None]:
    """The limit of the csv module is one of the process: it is put back."""
    before = csv.field_size_limit(1 << 30)
    try:
        yield
    finally:
        csv.field_size_limit(before)


CSVLOG = Format(_START, _entries, stamp_of(_START))
