"""The text log of PostgreSQL, as stderr and the logging collector write it."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from scaledoctor.logs.sql.clock import Clock
from scaledoctor.logs.sql.entry import LONGEST, Coverage, Entry, Format, lines_in
from scaledoctor.logs.sql.prefix import SECONDARY, entry_start
from scaledoctor.logs.sql.words import SEVERITIES
from scaledoctor.logs.stamps import iso

_BODY = rb"(?P<text>[^\n]*+(?:\n\t[^\n]*+)*+)"
_FIELDS = (
    "severity", "text", "when", "epoch", "part", "zone", "session", "pid",
    "user", "database", "application", "sqlstate", "state",
)  # fmt: skip

_BELONGING = {word: word for word in SECONDARY} | {
    word: plain for word, plain in SEVERITIES.items() if plain in SECONDARY
}
_NOTHING: dict[bytes, bytes] = {}


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
    more: dict[bytes, bytes] = _NOTHING
    position = 0
    for found in whole.finditer(block):
        start, end = found.span()
        if start != position:
            coverage.unread += block.count(b"\n", position, start)
        position = end + 1
        groups = found.groups(b"")
        word = groups[severity]
        if word in _BELONGING:
            more = {**more, _BELONGING[word]: groups[text]}
            continue
        if held is not None:
            yield made(held, more)
        held, more = groups, _NOTHING
    if position < len(block):
        coverage.unread += lines_in(block[position:])
    if held is not None:
        yield made(held, more)


def _maker(
    whole: re.Pattern[bytes],
) -> Callable[[tuple[bytes, ...], Mapping[bytes, bytes]], Entry]:
    """A function from the groups of a message to its entry; absent fields read an empty group."""
    count = whole.groups
    places = (whole.groupindex.get(name, count + 1) - 1 for name in _FIELDS)
    (severity, text, when, epoch, part, zone, session, pid, user, database, application, sqlstate,
     state) = places  # fmt: skip
    session = session if session < count else pid
    stated = sqlstate if sqlstate < count else state
    timed, fraction = when < count, part < count
    clock, make = Clock(), tuple.__new__

    def made(groups: tuple[bytes, ...], more: Mapping[bytes, bytes]) -> Entry:
        groups = (*groups, b"")
        seconds = clock(groups[when], groups[zone]) if timed else float(groups[epoch] or 0)
        if fraction:
            seconds += int(groups[part] or 0) / 1000
        detail = statement = context = b""
        if more:
            detail = _clean(more.get(b"DETAIL", b""))
            statement, context = _clean(more.get(b"STATEMENT", b"")), more.get(b"CONTEXT", b"")
        word = groups[severity]
        return make(Entry, (
            seconds, groups[session], SEVERITIES.get(word, word), _clean(groups[text]),
            detail, statement, context,
            groups[user], groups[database], groups[application], groups[stated], b"",
        ))  # fmt: skip

    return made


def _clean(text: bytes) -> bytes:
    """Text without the tabs that mark continued lines, and not longer than is of use."""
    if b"\n" in text:
        text = text.replace(b"\n\t", b"\n")
    return text[:LONGEST] if len(text) > LONGEST else text
