"""PostgreSQL's jsonlog (15 and later): one object a line."""

import re
from collections.abc import Iterator

from scaledoctor.logs.sql.clock import Clock
from scaledoctor.logs.sql.entry import LONGEST, Coverage, Entry, Format
from scaledoctor.logs.sql.words import SEVERITIES
from scaledoctor.logs.stamps import iso

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
    clock, make = Clock(), tuple.__new__
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
        stamp = row.timestamp.encode()
        severity = row.error_severity.encode()
        part = stamp[20:23]
        yield make(Entry, (
            clock(stamp[:19], stamp[24:]) + (int(part) / 1000 if part.isdigit() else 0.0),
            row.session_id.encode(), SEVERITIES.get(severity, severity),
            row.message[:LONGEST].encode(), row.detail[:LONGEST].encode(),
            row.statement[:LONGEST].encode(), row.context[:LONGEST].encode(),
            row.user.encode(), row.dbname.encode(), row.application_name.encode(),
            row.state_code.encode(), b"",
        ))  # fmt: skip


JSONLOG = Format(_START, _entries, iso)
