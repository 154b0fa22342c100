"""PgBouncer's log: logins, ends of sessions and errors, in the words of PostgreSQL's own."""

import re
from collections.abc import Iterator

from scaledoctor.logs.sql.clock import Clock
from scaledoctor.logs.sql.csvlog import FRACTIONS
from scaledoctor.logs.sql.entry import LONGEST, Coverage, Entry, Format, lines_in, stamp_of

_LINE = re.compile(
    rb"^(?P<when>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.(?P<part>\d{3}) (?P<zone>[A-Za-z0-9+:-]{1,10}) "
    rb"\[?\d{1,10}\]? (?P<level>LOG|WARNING|ERROR|FATAL|NOISE|DEBUG) "
    rb"(?:(?P<side>[CS])-(?P<socket>0x[0-9a-f]+): "
    rb"(?P<database>[^/\n]{0,255})/(?P<user>[^\n@]{0,255}?)@\S{1,255} )?(?P<text>[^\n]*)",
    re.M,
)
_ATTEMPT = re.compile(rb"login attempt: db=(\S+) user=(\S+)")
_CLOSED = re.compile(rb"closing because: ([^\n]*?)(?: \(age=(\d+)s\))?$")
_NORMAL = (b"client close request", b"client unexpected eof")


def _entries(block: bytes, coverage: Coverage) -> Iterator[Entry]:
    coverage.lines += lines_in(block)
    clock = Clock()
    position = 0
    for found in _LINE.finditer(block):
        coverage.unread += block.count(b"\n", position, found.start())
        position = min(found.end() + 1, len(block))
        when = clock(found["when"], found["zone"])
        when += FRACTIONS.get(found["part"].decode(), 0.0)
        for severity, message in _said(found):
            yield Entry(when, found["socket"] or b"", severity, message[:LONGEST],
                        user=found["user"] or b"", database=found["database"] or b"")  # fmt: skip
    coverage.unread += lines_in(block[position:])


def _said(found: re.Match[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """What a line means; the pooler's connections to its servers are no clients'."""
    text, level = found["text"], found["level"]
    if attempt := _ATTEMPT.match(text):
        yield b"LOG", b"connection received: "
        yield b"LOG", b"connection authorized: user=%s database=%s" % (attempt[2], attempt[1])
        return
    closed = _CLOSED.match(text)
    if closed is not None and found["side"] == b"C":
        hours, rest = divmod(min(int(closed[2] or 0), 10**8), 3600)
        length = b"%d:%02d:%02d.000" % (hours, rest // 60, rest % 60)
        yield b"LOG", b"disconnection: session time: " + length
        if not closed[1].startswith(_NORMAL):
            yield b"ERROR", b"closing because: " + closed[1]
    elif text.startswith(b"pooler error: "):
        return  # the line that closes the client says it again
    else:
        yield level, text


POOLER = Format(_LINE, _entries, stamp_of(_LINE))
