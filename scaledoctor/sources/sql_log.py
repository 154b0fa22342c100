"""A SQL log: its newest minutes, read when the scan ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from scaledoctor.logs.nplusone.report import Repeated, RepeatedQueries, repeated
from scaledoctor.logs.packing import Damaged
from scaledoctor.logs.readers import open_log
from scaledoctor.logs.sql.chunks import Between, analyze_chunk, blocks
from scaledoctor.logs.sql.inputs import PIECE, Input, narrow, newest, recognised
from scaledoctor.logs.sql.partial import Partial
from scaledoctor.logs.sql.recognise import UNDERSTOOD, format_of
from scaledoctor.logs.sql.summary import Ran, SqlLog, Stretch, Told, summary
from scaledoctor.logs.sql.templates import Templates
from scaledoctor.sdk import Cadence, Redactor, Target, Unavailable, probe, source

if TYPE_CHECKING:
    from asyncio import Future

__all__ = ["Ran", "Repeated", "RepeatedQueries", "SqlLog", "SqlLogSession", "Stretch", "Told"]

TAIL = 900.0
"""Seconds before the log's newest line that are read: a quarter of an hour has each usual request
of an application in it, and tells of now."""

MOST_BYTES = 48 << 20
"""Bytes of a plain file that are parsed at most: some two seconds of CPU."""

SECONDS = 2.5
"""After which reading ends with what it has: a reading has 4 s, and its last block takes one."""

NEWEST = "only its newest part was read: it is too large for the time of a scan"


@dataclass
class SqlLogSession:
    """A log and its size when the scan began; ``reading`` is the one time that it is read."""

    path: Path
    redactor: Redactor
    mark: int
    reading: "Future[tuple[SqlLog, RepeatedQueries]] | None" = None


@source("sql-log", SqlLogSession)
@asynccontextmanager
async def sql_log(target: Target, redactor: Redactor) -> AsyncIterator[SqlLogSession]:
    """A file that PostgreSQL or an application writes its statements to, packed or not."""
    log = open_log(Path(target.dsn))
    with closing(log.file):
        yield SqlLogSession(Path(target.dsn), redactor, log.size)


@probe(cost="reads at most 48 MB of the file, some seconds of CPU here", cadence=Cadence.LAST)
async def statements(session: SqlLogSession) -> SqlLog:
    """Read the log's newest part in a thread of its own, so that other targets are not held up."""
    return (await _once(session))[0]


@probe(cost="shares the reading of statements", cadence=Cadence.LAST)
async def repetitions(session: SqlLogSession) -> RepeatedQueries:
    """Statements that the log's requests repeat."""
    return (await _once(session))[1]


async def _once(session: SqlLogSession) -> tuple[SqlLog, RepeatedQueries]:
    """Begin to read, or wait for the reading that goes on: a probe that gave up did not end it."""
    import asyncio

    if session.reading is None:
        session.reading = asyncio.ensure_future(asyncio.to_thread(_read, session))
    return await asyncio.shield(session.reading)


def _read(session: SqlLogSession) -> tuple[SqlLog, RepeatedQueries]:
    try:
        one = recognised(session.path, None)
    except Damaged:
        raise Unavailable("the file is damaged", "copy it again") from None
    with closing(one.file):
        live = one.plain and one.end != session.mark
        between, note = _span(one)
        partial, cut = sums(one, between, session.redactor)
    if not partial.entries:
        raise Unavailable("no message in it", "is the log written somewhere else?")
    if partial.understood < UNDERSTOOD:
        reason = f"only {partial.understood:.0%} of its lines look like those of a SQL log"
        raise Unavailable(reason, "give it PostgreSQL's stderr, csvlog or jsonlog")
    found = repeated(partial.runs, session.redactor, live=live)
    form = one.layout.name
    log = summary(partial, session.redactor, form, live=live, note=cut or note)
    return log, replace(found, seconds=log.seconds)


def _span(one: Input) -> tuple[Between | None, str]:
    """Move a plain file's start to its last minutes, or to what can be read of them."""
    last = newest([one])
    if not one.plain or last is None:
        return None, ""
    since = last - TAIL
    narrow([one], since, float("inf"))
    if one.end - one.start > MOST_BYTES:
        one.start = one.end - MOST_BYTES
        return (since, float("inf")), NEWEST
    return (since, float("inf")), ""


def sums(one: Input, between: Between | None, redactor: Redactor) -> tuple[Partial, str]:
    """Read until the end, or until the time of a scan is over."""
    total, templates, until = Partial(whole=True), Templates(), monotonic() + SECONDS
    note = ""
    for block in blocks(one.pieces(), format_of(one.layout).start, PIECE):
        literals = redactor.show_literals
        total.merge(analyze_chunk(block, one.layout, templates, literals=literals, between=between))
        if monotonic() > until:
            note = "not read to its end: it is too large for the time of a scan"
            break
    total.finish()
    return total, note
