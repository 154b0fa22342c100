"""The text log of PostgreSQL, as stderr and the logging collector write it."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from scaledoctor.logs.sql.clock import Clock
from scaledoctor.logs.sql.entry import LONGEST, Coverage, Entry, Format, lines_in
from scaledoctor.logs.sql.prefix import SECONDARY, entry_start
from scaledoctor.logs.sql.words import SEVERITIES
from scaledoctor.logs.stamps import iso

_BODY = rb"(?P<text>[^\n]*+(?:\n\t[^\n]*+)*+)()"
_FIELDS = (
    "severity", "text", "when", "epoch", "part", "zone", "session", "pid",
    "user", "database", "application", "sqlstate", "state",
)  # fmt: skip

_BELONGING = {word: word for word in SECONDARY} | {
    word: plain for word, plain in SEVERITIES.items() if plain in SECONDARY
}
_FRACTIONS = {b"%03d" % millis: millis / 1000 for millis in range(1000)} | {b"": 0.0}


@lru_cache(maxsize=64)
def stderr(prefix: str) -> Format:
    """The format of a log with that log_line_prefix."""
    start = re.compile(entry_start(prefix, primary=True), re.M)
    whole = re.compile(entry_start(prefix) + _BODY, re.M)
    return Format(start, lambda block, coverage: _entries(whole, block, coverage), _stamp(start))


def _stamp(start: re.Pattern[bytes]) -> Callable[[bytes], float | None]:
    groups = start.groupindex

    def stamp(line: bytes) -> float | None:
        found = start.match(line)
        if found is None:
            return None
        if "epoch" in groups:
            return float(found["epoch"])
        return iso(found[0])

    return stamp


def _entries(whole: re.Pattern[bytes], block: bytes, coverage: Coverage) -> Iterator[Entry]:
    """Put each message together with the lines that belong to it."""
    if b"\r\n" in block:
        block = block.replace(b"\r\n", b"\n")
    coverage.lines += lines_in(block)
    severity, text = whole.groupindex["severity"] - 1, whole.groupindex["text"] - 1
    made = _maker(whole)
    held: tuple[bytes, ...] | None = None
    detail = statement = context = b""
    position = 0
    for found in whole.finditer(block):
        start, end = found.span()
        if start != position:
            coverage.unread += block.count(b"\n", position, start)
        position = end + 1
        groups = found.groups(b"")
        kind = _BELONGING.get(groups[severity])
        if kind is None:
            if held is not None:
                yield made(held, detail, statement, context)
                detail = statement = context = b""
            held = groups
        elif kind == b"DETAIL":
            detail = _clean(groups[text])
        elif kind == b"STATEMENT":
            statement = _clean(groups[text])
        elif kind == b"CONTEXT":
            context = groups[text]
    if position < len(block):
        coverage.unread += lines_in(block[position:])
    if held is not None:
        yield made(held, detail, statement, context)


Maker = Callable[[tuple[bytes, ...], bytes, bytes, bytes], Entry]


def _maker(whole: re.Pattern[bytes]) -> Maker:
    """From the groups of a message to its entry; a field that the prefix lacks is the last group.

    That one is always empty.
    """
    empty = whole.groups - 1
    places = (whole.groupindex.get(name, whole.groups) - 1 for name in _FIELDS)
    (severity, text, when, epoch, part, zone, session, pid, user, database, application, sqlstate,
     state) = places  # fmt: skip
    session = session if session < empty else pid
    stated = sqlstate if sqlstate < empty else state
    clock, make, known = Clock(), tuple.__new__, SEVERITIES.get
    second, seconds = b"", 0.0
    when = when if when < empty else epoch

    def made(groups: tuple[bytes, ...], detail: bytes, statement: bytes, context: bytes) -> Entry:
        nonlocal second, seconds
        if groups[when] != second:
            second = groups[when]
            seconds = float(second) if second.isdigit() else clock(second, groups[zone])
        word, message = groups[severity], groups[text]
        if b"\n" in message or len(message) > LONGEST:
            message = _clean(message)
        return make(Entry, (
            seconds + _FRACTIONS[groups[part]], groups[session], known(word, word),
            message, detail, statement, context,
            groups[user], groups[database], groups[application], groups[stated], b"",
        ))  # fmt: skip

    return made


def _clean(text: bytes) -> bytes:
    """Text without the tabs that mark continued lines, and not longer than is of use."""
    if b"\n" in text:
        text = text.replace(b"\n\t", b"\n")
    return text[:LONGEST] if len(text) > LONGEST else text
