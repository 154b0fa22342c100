"""The server's own log, through its own connection: the end of it, where the role may read it."""

from base64 import b64decode
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from io import BytesIO
from time import monotonic
from typing import Any

from scaledoctor.logs.nplusone.report import RepeatedQueries, repeated
from scaledoctor.logs.packing import Packing
from scaledoctor.logs.readers import Stamp
from scaledoctor.logs.sql.entry import Layout
from scaledoctor.logs.sql.inputs import Input
from scaledoctor.logs.sql.recognise import UNDERSTOOD, format_of, recognise
from scaledoctor.logs.sql.summary import SqlLog, summary
from scaledoctor.sdk import Cadence, Redactor, Unavailable, fact, probe
from scaledoctor.sources.postgres.plans import CROWD
from scaledoctor.sources.postgres.plans_run import PLACE, distress
from scaledoctor.sources.postgres.session import PostgresSession
from scaledoctor.sources.sql_log import TAIL, sums

MOST_BYTES = 8 << 20
"""Bytes of the log that are read at most: some tens of thousands of messages."""

FIRST_PIECE, LARGEST_PIECE = 1 << 16, 1 << 20
"""Bytes of one answer: the first is small, so that a slow way to the server is noticed by it."""

QUICK = 0.1
"""Seconds of an answer after which the next may be four times as large."""

SECONDS = 1.0
"""After which no further piece is asked for; a reading has 4 s, and the log must be parsed too."""

LIVE = 30.0
"""Seconds since the log was last written to, within which it tells of now."""

KEY = "own log"

Files = list[dict[str, Any]]
"""path, size, and age in seconds of each file of the log, the newest first."""

CUT = "of the server's own log only the newest part was read"


@fact
@dataclass(frozen=True, slots=True)
class OwnLog:
    """Whether the server's own log was read; ``blind`` says why it cannot be, in one clause.

    ``grants`` let this role read it. Both are empty where it was read, or left alone for now.
    """

    blind: str = ""
    grants: tuple[str, ...] = ()


FUNCTIONS = (
    "pg_current_logfile(text)",
    "pg_ls_logdir()",
    "pg_read_binary_file(text, bigint, bigint, boolean)",
)
"""What reading takes: pg_monitor may call the second, and from 16 on the first; within the data
directory and log_directory no membership in pg_read_server_files is needed."""

_MAY = """
SELECT ARRAY(SELECT f FROM unnest(%(functions)s::text[]) f
             WHERE NOT has_function_privilege('pg_catalog.' || f, 'EXECUTE')) AS denied,
       quote_ident(session_user) AS role,
       current_setting('logging_collector') = 'on' AS collector,
       current_setting('log_line_prefix') AS prefix,
       current_setting('log_min_duration_statement') = '0'
       OR current_setting('log_statement') = 'all' AS every,
       pg_postmaster_start_time()::text AS started
"""

_FILES = """
SELECT regexp_replace(f.path, '[^/\\\\]*$', '') || l.name AS path, l.size,
       extract(epoch FROM now() - l.modification)::float8 AS age
FROM (SELECT coalesce({formats}) AS path) f
CROSS JOIN LATERAL (SELECT regexp_replace(f.path, '^.*[/\\\\]', '') AS name) n
JOIN pg_ls_logdir() l ON translate(l.name, '123456789', '000000000')
                       = translate(n.name, '123456789', '000000000')
WHERE l.name = n.name OR l.modification > now() - make_interval(secs => {tail})
ORDER BY l.name = n.name DESC, l.modification DESC
LIMIT 9
"""
"""The log and those before it, whose names differ in their time alone; a busy one is rotated every
10 MB (log_rotation_size)."""

_READ = """
SELECT encode(pg_read_binary_file(%(path)s, %(start)s, %(size)s, true), 'base64') AS piece
"""


@dataclass(frozen=True, slots=True)
class _Tail:
    """The end of a log, oldest first; ``since`` is from when on it counts."""

    data: bytes
    layout: Layout
    since: float
    note: str


@probe(cost="3 queries, at most 8 MB of the log in 1 s, some CPU here", cadence=Cadence.LAST)
async def own_log(pg: PostgresSession) -> OwnLog:
    """Read the last quarter of an hour of the log, unless the server has other worries."""
    if pg.pooled:
        return OwnLog()
    (may,) = await pg.rows(_MAY, {"functions": list(FUNCTIONS)})
    if not may["collector"]:
        return OwnLog("logging_collector is off, so that it goes somewhere else")
    if may["denied"]:
        grants = (f"GRANT EXECUTE ON FUNCTION {f} TO {may['role']};" for f in may["denied"])
        return OwnLog(f"role {may['role']} may not read it", tuple(grants))
    if distress((await pg.rows(PLACE))[0], CROWD):
        return OwnLog()
    formats = ", ".join(_formats(pg.version))
    files = await pg.rows(_FILES.format(formats=formats, tail=TAIL))
    if sum(file["size"] for file in files):
        pg.memory[KEY] = await _facts(pg, may, files)
    return OwnLog()


@probe(cost="shares the reading of OwnLog", cadence=Cadence.LAST)
async def own_statements(pg: PostgresSession, own: OwnLog | None) -> SqlLog:
    """Errors, waits and statements of the server's own log."""
    log: SqlLog = _known(pg)[0]
    return log


@probe(cost="shares the reading of OwnLog", cadence=Cadence.LAST)
async def own_repetitions(pg: PostgresSession, own: OwnLog | None) -> RepeatedQueries:
    """Statements that its requests repeat; a log of slow statements alone does not tell."""
    _, queries, every = _known(pg)
    if not (every or queries.found):
        raise Unavailable("")
    found: RepeatedQueries = queries
    return found


def _known(pg: PostgresSession) -> tuple[Any, Any, bool]:
    if KEY not in pg.memory:
        raise Unavailable("")
    found: tuple[Any, Any, bool] = pg.memory[KEY]
    return found


def _formats(version: int) -> list[str]:
    """Who writes several has the one with SQLSTATE and application read; jsonlog is 15+."""
    names = ("csvlog", "jsonlog", "stderr") if version >= 150000 else ("csvlog", "stderr")
    return [f"pg_current_logfile('{name}')" for name in names]


async def _facts(
    pg: PostgresSession, may: dict[str, Any], files: Files
) -> tuple[SqlLog, RepeatedQueries, bool]:
    import asyncio

    tail = await _tail(pg, files, may["prefix"])
    live = files[0]["age"] < LIVE
    log, queries = await asyncio.to_thread(_parsed, tail, pg.redactor, live)
    name = f"the log of the server of {may['started']}"
    return replace(log, own=name), replace(queries, own=name), may["every"]


async def _tail(pg: PostgresSession, files: Files, prefix: str) -> _Tail:
    """Read backwards until the last minutes are whole, or the bytes or the time are used up."""
    kept: list[bytes] = []
    layout, since, note = None, 0.0, ""
    async with aclosing(_pieces(pg, files)) as pieces:
        async for piece in pieces:
            kept.insert(0, piece)
            if layout is None:
                layout, newest = _recognised(b"".join(kept), prefix)
                since = newest - TAIL
            stamp = format_of(layout).stamp if layout else None
            if stamp and (_time(piece.splitlines(), stamp) or since) < since:
                break
        else:
            whole = sum(map(len, kept)) >= sum(file["size"] for file in files)
            note = "" if whole else CUT
    if layout is None:
        raise Unavailable("the server's own log is in no known format", "scan it: --log PATH")
    return _Tail(_whole(b"".join(kept), layout), layout, max(0.0, since), note)


async def _pieces(pg: PostgresSession, files: Files) -> AsyncGenerator[bytes]:
    """The newest piece first, larger ones while the way to the server is quick."""
    step, held, until = FIRST_PIECE, 0, monotonic() + SECONDS
    for file in files:
        end = file["size"]
        while end and held < MOST_BYTES and monotonic() < until:
            start, began = max(0, end - min(step, MOST_BYTES - held)), monotonic()
            yield await _piece(pg, file["path"], start, end)
            held, end = held + end - start, start
            if monotonic() - began < QUICK:
                step = min(4 * step, LARGEST_PIECE)


async def _piece(pg: PostgresSession, path: str, start: int, end: int) -> bytes:
    (row,) = await pg.rows(_READ, {"path": path, "start": start, "size": end - start})
    return b64decode(row["piece"] or "")  # none of a file that was removed in between


def _time(lines: Iterable[bytes], stamp: Stamp) -> float | None:
    return next((t for line in lines if (t := stamp(line)) is not None), None)


def _recognised(sample: bytes, prefix: str) -> tuple[Layout | None, float]:
    """The format, with the prefix that the server tells or told a moment ago; its last time."""
    lines = sample.splitlines()
    for given in (prefix, None):
        with suppress(Unavailable):
            layout = recognise(lines, given)
            return layout, _time(reversed(lines), format_of(layout).stamp) or 0.0
    return None, 0.0


def _whole(data: bytes, layout: Layout) -> bytes:
    """From the first message on that begins here to the last line that has ended."""
    first = format_of(layout).start.search(data)
    return data[first.start() if first else 0 : data.rfind(b"\n") + 1]


def _parsed(tail: _Tail, redactor: Redactor, live: bool) -> tuple[SqlLog, RepeatedQueries]:
    one = Input("own log", BytesIO(), Packing.PLAIN, tail.layout, 0.0, head=[tail.data])
    between = (tail.since, float("inf")) if tail.since else None
    partial, cut = sums(one, between, redactor)
    if not partial.entries or partial.understood < UNDERSTOOD:
        raise Unavailable("the server's own log is not understood", "scan its file: --log PATH")
    found = repeated(partial.runs, redactor, live=live)
    log = summary(partial, redactor, tail.layout.name, live=live, note=cut or tail.note)
    return log, replace(found, seconds=log.seconds)
