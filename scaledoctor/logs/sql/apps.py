"""Logs of applications: what their ORMs and drivers say of each statement.

Each is read line by line into the words of PostgreSQL's own log. Other lines of the application
are no fault of the log: they count as understood.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from scaledoctor.logs.sql.entry import LONGEST, Coverage, Entry, Format, lines_in, stamp_of
from scaledoctor.logs.sql.orms import (
    Said,
    active_record,
    django,
    hibernate,
    p6spy,
    peewee,
    prisma,
    sequelize,
    sqlalchemy,
)

_COLOURS = re.compile(rb"\x1b\[[0-9;]{0,20}m")
_DATED = re.compile(rb"^\[?\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d")
_CODE = "↳".encode()
_OTHERS = (
    rb"\s*(?:\[[0-9a-f-]{32,36}\] |Started [A-Z]+ |Completed \d|Processing by |Render(?:ed|ing) |"
    rb"Parameters: |\[?\d{4}-\d\d-\d\d)"
)
"""Lines of Rails and of others that go on with no statement."""

_HELD = 400
"""Lines of one statement that are kept."""

APPS: Mapping[str, tuple[bytes, Callable[[bytes], Said | None]]] = {
    "django.db.backends": (rb"[^\n]{0,200}?\(\d+\.\d{3}\) (?=[A-Za-z(])", django),
    "SQLAlchemy echo": (rb"[^\n]{0,200}?\bsqlalchemy\.engine\.[\w.]+[ :\]-]", sqlalchemy),
    "Peewee": (rb"[^\n]{0,200}?\(['\"][A-Z]{2,}[ '\"]", peewee),
    "ActiveRecord": (
        rb"[^\n]{0,200}?(?:\b[A-Z][\w:]* (?:Load|Create|Update|Destroy|Exists\?|Count|Sum|Pluck|"
        rb"Insert|Upsert|Delete All|Update All|Bulk Insert)|\b(?:TRANSACTION|SQL)) \(\d+\.\d+ms\)",
        active_record,
    ),
    "Sequelize": (rb"[^\n]{0,200}?\bExecut(?:ing|ed) \([\w-]+\): ", sequelize),
    "Prisma": (rb"[^\n]{0,200}?\bprisma:query ", prisma),
    "p6spy": (rb"\d{13}\|\d{1,12}\|(?:statement|commit|rollback|batch)\|connection ", p6spy),
    "Hibernate": (rb"(?:Hibernate: |[^\n]{0,200}?\borg\.hibernate\.SQL\b)", hibernate),
}
"""How a line with a statement begins, and what it says; by the name of the format."""


def app(name: str) -> Format:
    """The format of an application's log."""
    head, said = APPS[name]
    begins = re.compile(head)
    start = re.compile(b"^(?:%s|%s)" % (_DATED.pattern.removeprefix(b"^"), head), re.M)

    def entries(block: bytes, coverage: Coverage) -> Iterator[Entry]:
        coverage.lines += lines_in(block)
        held: Said | None = None
        for record in _records(_COLOURS.sub(b"", block), begins):
            if begins.match(record):
                found = said(record[:LONGEST])
                if found is None:
                    continue
                if held is not None:
                    found = found.after(held)
                    if not found.follows:
                        yield held.entry()
                held = found
            elif held is not None:
                held = held.noted(record)
        if held is not None:
            yield held.entry()

    return Format(start, entries, stamp_of(start))


def votes(name: str, block: bytes) -> int:
    """How many lines of a sample are of that format."""
    head = re.compile(b"^(?:%s)" % APPS[name][0], re.M)
    return sum(1 for _ in head.finditer(_COLOURS.sub(b"", block)))


def _records(block: bytes, begins: re.Pattern[bytes]) -> Iterator[bytes]:
    """Lines, each statement with its further lines."""
    kept: list[bytes] = []
    lines = block.splitlines()
    first = next((line for line in lines if begins.match(line)), b"")
    # A value may look like a line of its own, but in a log with times it has none in front.
    fresh = _DATED if _DATED.match(first) else re.compile(begins.pattern + b"|" + _OTHERS)
    for line in lines:
        if not kept or fresh.match(line) or not begins.match(kept[0]) or _CODE in line[:200]:
            if kept:
                yield b"\n".join(kept)
            kept = [line]
        elif len(kept) < _HELD:
            kept.append(line)
    if kept:
        yield b"\n".join(kept)
