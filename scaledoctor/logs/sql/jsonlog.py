"""PostgreSQL's jsonlog (15 and later): one object a line."""

import re
from collections.abc import Iterator

from scaledoctor.logs.sql.clock import Clock
from scaledoctor.logs.sql.csvlog import FRACTIONS, Known
from scaledoctor.logs.sql.entry import LONGEST, Coverage, Entry, Format, stamp_of
from scaledoctor.logs.sql.words import SEVERITIES

_START = re.compile(rb'^\{"timestamp":"[^"\n]*"', re.M)


def _entries(block: bytes, coverage: Coverage) -> Iterator[Entry]:
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

    read = msgspec.json.Decoder(Line).decode
    clock, make, known = Clock(), tuple.__new__, Known("utf-8")
    for line in block.splitlines():
        coverage.lines += 1
        try:
            row = read(line)
        except msgspec.DecodeError:
            try:
                row = read(line.decode("utf-8", "replace").replace("\0", " ").encode())
            except msgspec.DecodeError:
                coverage.unread += 1
                continue
        stamp, severity = row.timestamp, known[row.error_severity]
        yield make(Entry, (
            clock(known[stamp[:19]], known[stamp[24:]]) + FRACTIONS.get(stamp[20:23], 0.0),
            known[row.session_id], SEVERITIES.get(severity, severity), _long(row.message),
            _long(row.detail) if row.detail else b"",
            _long(row.statement) if row.statement else b"",
            _long(row.context) if row.context else b"",
            known[row.user], known[row.dbname], known[row.application_name],
            known[row.state_code], b"",
        ))  # fmt: skip


def _long(text: str) -> bytes:
    return text[:LONGEST].encode()


JSONLOG = Format(_START, _entries, stamp_of(_START))
