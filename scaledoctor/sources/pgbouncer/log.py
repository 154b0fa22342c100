"""PgBouncer's log, where it lies on this machine: the only place that counts what was refused."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import time

from scaledoctor.sdk import Cadence, Redactor, Unavailable, fact, probe
from scaledoctor.sources.pgbouncer.config import PoolerConfig
from scaledoctor.sources.pgbouncer.session import PgBouncerSession

MOST_BYTES = 1024 * 1024
"""Read from before the window, and again of what was written in it: its end, about 8,000 lines.

A failed login is tried again, and its reason written, only every 15 s; until then each client that
is refused writes two lines: at 300 requests per second 1 MB.
"""

BEFORE = 60.0
"""Seconds before the window that still count: what was refused an hour ago explains nothing now."""

MOST_ENTRIES = 50

# (kind, pattern in a client's error or a server's end); first match wins.
_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("refused", re.compile(r"no more connections allowed|client connections exceeded")),
    ("wait-timeout", re.compile(r"query_wait_timeout$")),
    (
        "slots",
        re.compile(r"too many clients already|remaining connection slots|too many connections"),
    ),
    ("prepared", re.compile(r"prepared statement did not exist")),
    (
        "login",
        re.compile(
            r"server login (?:failed|has been failing)|client_login_timeout \(server down\)"
            r"|login failed|connect failed|cannot connect|connect timeout"
            r"|server DNS lookup failed|failed to answer authreq"
        ),
    ),
)

_LINE = re.compile(
    r"(?P<side>[CS])-0x[0-9a-f]+: (?P<database>.*?)/(?P<user>.*?)@\S+ "
    r"(?:pooler error|closing because): (?P<words>.*)"
)
# 1.18 writes the second form.
_LOGIN = re.compile(
    r"(?:WARNING server login failed: (?:FATAL )?|ERROR S: login failed: (?:FATAL: )?)(?P<words>.*)"
)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One message about one pool (empty names: about none), how often, and PgBouncer's words.

    ``kind``: "refused" a client for want of room, "wait-timeout" a client that waited too long
    for a server, "slots" PostgreSQL had none left, "login" it was not reached or did not let
    PgBouncer in, "prepared" a prepared statement was lost between two servers.
    """

    kind: str
    database: str
    user: str
    count: int
    words: str

    @property
    def key(self) -> str:
        """The pool: database/user."""
        return f"{self.database}/{self.user}"


@fact
@dataclass(frozen=True, slots=True)
class PoolerLog:
    """What the log says: at the first reading its last lines, at the second what came since."""

    entries: tuple[LogEntry, ...]

    def count(self, kind: str) -> int:
        """How often a kind was written."""
        return sum(e.count for e in self.entries if e.kind == kind)

    def why(self, key: str, *kinds: str) -> str:
        """The words about one pool that were written most often; empty when there are none."""
        found = [e for e in self.entries if e.key == key and e.kind in kinds]
        return max(found, key=lambda e: e.count).words if found else ""


@probe(cost="the log's last 1 MB, then what was added, up to 1 MB", cadence=Cadence.EDGES)
async def pooler_log(console: PgBouncerSession, config: PoolerConfig) -> PoolerLog:
    """Read the end of ``logfile`` if PgBouncer runs on this machine."""
    where = config.values.get("logfile", "")
    if console.local_port is None:
        raise Unavailable("PgBouncer's log lies on its own machine", "scan there")
    if not where:
        raise Unavailable("PgBouncer writes no log file", f"in {config.file}: logfile = /a/path")
    try:
        with Path(where).open("rb", buffering=0) as file:
            state = os.fstat(file.fileno())
            size = state.st_size
            seen = console.memory.get("log")
            begin = size - MOST_BYTES
            if seen is not None and seen <= size:
                begin = max(seen, begin)
            file.seek(max(0, begin))
            data = file.read(MOST_BYTES)
    except OSError as error:
        raise Unavailable(
            f"PgBouncer's log {where} cannot be read: {error.strerror}",
            "run the scan as a member of the log's group (adm on Debian)",
        ) from None
    console.memory["log"] = max(0, begin) + len(data)
    lines = data.decode("utf-8", "replace").splitlines()
    if seen is None:
        lines = recent(lines) if time() - state.st_mtime <= BEFORE else []
    return PoolerLog(entries(lines, console.redactor))


def recent(lines: Sequence[str]) -> list[str]:
    """The lines of the last minute before the last one, by the times that they begin with."""
    stamps = [_stamp(line) for line in lines]
    last = max((s for s in stamps if s), default=None)
    if last is None:
        return []
    oldest = last - timedelta(seconds=BEFORE)
    return [line for line, s in zip(lines, stamps, strict=True) if s and s >= oldest]


def _stamp(line: str) -> datetime | None:
    """The local time of a line; its zone is the same in all."""
    try:
        return datetime.fromisoformat(line[:19])
    except ValueError:
        return None


def entries(lines: Iterable[str], redactor: Redactor) -> tuple[LogEntry, ...]:
    """Count the telling lines of any version's log, the most frequent first.

    A server's login error stands on a line of its own, in front of the one that names the pool.
    """
    counts = Counter[tuple[str, str, str, str]]()
    error = ""
    for line in lines:
        if login := _LOGIN.search(line):
            error = login["words"]
        elif match := _LINE.search(line):
            words = re.sub(r" \(age=\d+s?\)$", "", match["words"])
            # A client's end is told twice: as its error, then as the reason for closing.
            if match["side"] == "C" and " pooler error: " not in line:
                continue
            if match["side"] == "S" and error:
                words, error = f"server login failed: {error}", ""
            kind = next((k for k, pattern in _KINDS if pattern.search(words)), "")
            names = (match["database"], match["user"])
            if kind:
                pool = ("", "") if "(nodb)" in names else names
                counts[kind, *pool, redactor.text(words)[:200]] += 1
    return tuple(
        LogEntry(kind, database, user, count, words)
        for (kind, database, user, words), count in counts.most_common(MOST_ENTRIES)
    )
