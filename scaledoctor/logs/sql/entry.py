"""What every format of a SQL log is read into, in the words of PostgreSQL's own log."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from scaledoctor.logs.readers import Stamp
from scaledoctor.logs.stamps import iso

LONGEST = 1 << 16
"""Bytes of one message that are kept; what is cut of a statement is the end of a long list."""


class Entry(NamedTuple):
    """One message of the log with all that belongs to it; what is not known is empty.

    ``when`` is seconds since 1970, 0 when the log has no time; ``session`` a session id, else a
    process id. ``message``, ``detail`` and ``context`` are in English, whatever lc_messages was.
    ``line`` is the line of code that an application log names.
    """

    when: float
    session: bytes
    severity: bytes
    message: bytes
    detail: bytes = b""
    statement: bytes = b""
    context: bytes = b""
    user: bytes = b""
    database: bytes = b""
    application: bytes = b""
    sqlstate: bytes = b""
    line: bytes = b""


@dataclass(slots=True)
class Coverage:
    """How many lines there were and how many of them no format understood."""

    lines: int = 0
    unread: int = 0

    @property
    def understood(self) -> float:
        """Share of the lines that were read; 1 of an empty log."""
        return 1 - self.unread / self.lines if self.lines else 1.0


def lines_in(block: bytes) -> int:
    """How many lines a block has; the last one may lack its end."""
    return block.count(b"\n") + (bool(block) and not block.endswith(b"\n"))


def stamp_of(start: re.Pattern[bytes]) -> Stamp:
    """The time of a line that begins a message; further lines may hold any date."""
    return lambda line: iso(line) if start.match(line) else None


Entries = Callable[[bytes, Coverage], Iterator[Entry]]


@dataclass(frozen=True, slots=True)
class Format:
    """How one kind of log is read.

    ``start`` matches where a message begins, and only there may a block be cut: never before
    the lines that belong to a message. ``entries`` reads a block of whole messages.
    """

    start: re.Pattern[bytes]
    entries: Entries
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Layout:
    """A recognised log: the name of its format, and log_line_prefix where it has one.

    ``bare`` says that durations stand on lines of their own, behind the statement's line
    (log_statement with log_duration). ``wrappers`` are what was put around it, the outer first.
    """

    name: str
    prefix: str = ""
    bare: bool = False
    wrappers: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The format for people."""
        prefix = f", log_line_prefix = '{self.prefix}'" if self.prefix else ""
        return " in ".join((self.name, *reversed(self.wrappers))) + prefix
