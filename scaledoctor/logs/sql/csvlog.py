"""PostgreSQL's csvlog: 22 columns up to 8.4, 23 from 9.0, 24 in 13, 26 from 14 on."""

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

from scaledoctor.logs.sql.clock import Clock
from scaledoctor.logs.sql.entry import LONGEST, Coverage, Entry, Format, lines_in
from scaledoctor.logs.sql.words import SEVERITIES
from scaledoctor.logs.stamps import iso

# A quoted field doubles its quotes, so that no statement can hold the first seven fields.
_START = re.compile(
    rb'^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [^,\n]{1,10},(?:"[^"\n]*"|),(?:"[^"\n]*"|),\d+,'
    rb'(?:"[^"\n]*"|[^,"\n]*),[0-9a-f]+\.[0-9a-f]+,\d+,',
    re.M,
)
COLUMNS = 22
_QUERY, _APPLICATION = 19, 22


def _entries(block: bytes, coverage: Coverage) -> Iterator[Entry]:
    clock, make = Clock(), tuple.__new__
    known: dict[str, bytes] = {}

    def short(text: str) -> bytes:
        found = known.get(text)
        if found is None:
            found = known[text] = text.encode("latin-1")
        return found

    coverage.lines += lines_in(block)
    with _long_fields():
        for row in _rows(block, coverage):
            stamp = row[0]
            seconds = clock(short(stamp[:19]), short(stamp[24:]))
            part = stamp[20:23]
            severity = short(row[11])
            yield make(Entry, (
                seconds + (int(part) / 1000 if part.isdigit() else 0.0), short(row[5]),
                SEVERITIES.get(severity, severity), row[13][:LONGEST].encode("latin-1"),
                row[14][:LONGEST].encode("latin-1"), row[_QUERY][:LONGEST].encode("latin-1"),
                row[18][:LONGEST].encode("latin-1"), short(row[1]), short(row[2]),
                short(row[_APPLICATION]) if len(row) > _APPLICATION else b"",
                short(row[12]), b"",
            ))  # fmt: skip


def _rows(block: bytes, coverage: Coverage) -> Iterator[list[str]]:
    """The rows that are messages; latin-1 keeps every byte as it is."""
    reader = csv.reader(StringIO(block.decode("latin-1"), newline="\n"))
    line = 0
    while True:
        try:
            row = next(reader, None)
        except csv.Error:
            row = []
        if row is None:
            return
        if len(row) >= COLUMNS and row[0][4:5] == "-" and row[3].isdigit():
            yield row
        else:
            coverage.unread += reader.line_num - line
        line = reader.line_num


@contextmanager
def _long_fields() -> Iterator[None]:
    """The limit of the csv module is one of the process: it is put back."""
    before = csv.field_size_limit(1 << 30)
    try:
        yield
    finally:
        csv.field_size_limit(before)


CSVLOG = Format(_START, _entries, iso)
