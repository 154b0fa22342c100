"""PostgreSQL's jsonlog (15 and later): one object a line."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from scaledoctor.logs.sql.clock import Clock
from scaledoctor.logs.sql.csvlog import FRACTIONS, Known
from scaledoctor.logs.sql.entry import LONGEST, Coverage, Entry, Format, stamp_of
from scaledoctor.logs.sql.words import SEVERITIES

_START = re.compile(rb'^\{"timestamp":"[^"\n]*"', re.M)


def _decoder() -> Callable[[bytes], Any]:
    import msgspec

    class Line(msgspec.Struct):
        """The keys that are read; absent ones are null."""

        timestamp: str
        error_severity: str
        message: str = ""
        session_id: str = ""
        detail: str = ""
        statement: str = ""
        context: str = ""
        user: str = ""
        dbname: str = ""
        application_name: str = ""
        state_code: str = ""

    decode = msgspec.json.Decoder(Line).decode

    def read(line: bytes) -> Line | None:
        try:
            return decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    return read


def _entries(block: bytes, coverage: Coverage) -> Iterator[Entry]:
    read = _decoder()
    clock, make, known, fraction = Clock(), tuple.__new__, Known("utf-8"), FRACTIONS.get
    second, seconds = "", 0.0
    for line in block.splitlines():
        coverage.lines += 1
        row = read(line) or read(_mended(line))
        if row is None:
            coverage.unread += 1
            continue
        stamp, severity = row.timestamp, known[row.error_severity]
        if stamp[:19] != second:
            second = stamp[:19]
            seconds = clock(_long(second), _long(stamp[24:]))
        yield make(Entry, (
            seconds + fraction(stamp[20:23], 0.0),
            known[row.session_id], SEVERITIES.get(severity, severity), _long(row.message),
            _long(row.detail) if row.detail else b"",
            _long(row.statement) if row.statement else b"",
            _long(row.context) if row.context else b"",
            known[row.user], known[row.dbname], known[row.application_name],
            known[row.state_code], b"",
        ))  # fmt: skip


def _mended(line: bytes) -> bytes:
    """The line as valid UTF-8 without NUL."""
    return line.decode("utf-8", "replace").replace("\0", " ").encode()


def _long(text: str) -> bytes:
    return text[:LONGEST].encode()


JSONLOG = Format(_START, _entries, stamp_of(_START))
