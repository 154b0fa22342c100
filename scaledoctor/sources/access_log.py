"""An access log: what was appended while we looked, and as much before it as tells of now."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from time import monotonic

from scaledoctor.logs.access.layout import Layout
from scaledoctor.logs.access.recognise import SAMPLE, UNDERSTOOD, recognise
from scaledoctor.logs.access.servers import Upstream, servers
from scaledoctor.logs.access.span import Span, recent
from scaledoctor.logs.access.summary import Route, routes
from scaledoctor.logs.packing import Damaged, Packing, unpacked
from scaledoctor.logs.readers import Log, gathered, lines, open_log
from scaledoctor.sdk import Cadence, Redactor, Target, Unavailable, fact, probe, source

__all__ = ["AccessLog", "AccessLogSession", "Route", "Upstream"]

_EDGE = 1 << 16


@dataclass
class AccessLogSession:
    """An open log; ``mark`` is its size and ``began`` the time at which the scan began.

    ``layout`` is None while the log is empty.
    """

    log: Log
    redactor: Redactor
    layout: Layout | None
    mark: int
    began: float


@fact
@dataclass(frozen=True, slots=True)
class AccessLog:
    """The requests of a span of a log.

    ``seconds`` is the length of the span, 0 when the log tells no times; ``live`` says that it
    ends now and not when the log was saved. ``unread`` of ``lines`` were not understood.
    ``timed``, ``upstream_timed``, ``upstreams`` and ``answers`` say which fields the format has:
    request time, upstream time, upstream address and the upstream's status. ``waited`` are
    seconds of requests in the balancer's queue. ``routes`` come by time, the largest first.
    """

    format: str
    live: bool
    seconds: float
    lines: int
    unread: int
    timed: bool
    upstream_timed: bool
    upstreams: bool
    answers: bool
    waited: float
    routes: tuple[Route, ...]
    servers: tuple[Upstream, ...]
    note: str = ""

    @property
    def requests(self) -> int:
        """How many there were."""
        return sum(route.requests for route in self.routes)

    def worked(self, route: Route) -> float:
        """Seconds in which a route kept a worker: the upstream's time, else the request's."""
        return route.spent if self.upstream_timed else route.seconds

    @property
    def busy(self) -> float:
        """Seconds of work of all routes."""
        return sum(map(self.worked, self.routes))


@source("access-log", AccessLogSession)
@asynccontextmanager
async def access_log(target: Target, redactor: Redactor) -> AsyncIterator[AccessLogSession]:
    """A file that a balancer, proxy or web server writes its requests to, packed or not."""
    log = open_log(Path(target.dsn))
    with closing(log.file):
        mark = log.size if log.packing is Packing.PLAIN else 0
        sample = _sample(log, mark)
        layout = recognise(sample) if sample or log.packing is not Packing.PLAIN else None
        yield AccessLogSession(log, redactor, layout, mark, monotonic())


@probe(cost="reads at most 64 MB of the file, about a second of CPU here", cadence=Cadence.LAST)
async def requests(session: AccessLogSession) -> AccessLog:
    """Read the log's newest part in a thread of its own, so that other targets are not held up."""
    import asyncio

    return await asyncio.to_thread(_read, session)


def _sample(log: Log, end: int) -> list[bytes]:
    """Some lines to recognise the format by: the last of a plain file, the first of a packed."""
    if log.packing is Packing.PLAIN:
        found = lines(log.file, max(0, end - _EDGE), end) or lines(log.file, 0, min(end, _EDGE))
        return found.splitlines()[-SAMPLE:]
    try:
        blocks = gathered(unpacked(log.file, log.packing), _EDGE)
        return [line for block in islice(blocks, 1) for line in block.splitlines()][:SAMPLE]
    except Damaged:
        raise Unavailable(f"the {log.packing} file is damaged", "copy it again") from None


def _read(session: AccessLogSession) -> AccessLog:
    log = session.log
    layout = session.layout or recognise(_sample(log, log.size))
    span = recent(log, layout, session.mark)
    tally = span.tally
    if not tally.lines:
        raise Unavailable("no request was logged", "is the log written somewhere else?")
    if tally.understood < UNDERSTOOD * tally.lines:
        raise Unavailable(
            f"{tally.lines - tally.understood} of {tally.lines} lines are not of the format "
            f"{layout.name} that the newest ones have",
            "one log_format per file",
        )
    return AccessLog(
        format=layout.name,
        live=span.live,
        seconds=_seconds(span, session.began),
        lines=tally.lines,
        unread=tally.lines - tally.understood,
        timed=layout.timed,
        upstream_timed=layout.upstream_timed,
        upstreams=layout.upstreams,
        answers=layout.answers,
        waited=tally.waited,
        routes=tuple(replace(r, name=session.redactor.text(r.name)) for r in routes(tally)),
        servers=servers(tally),
        note=span.note,
    )


def _seconds(span: Span, began: float) -> float:
    """From the first request to the last or, when the log is written now, to this moment.

    Most formats tell whole seconds: the first and the last second count in full.
    """
    first, last = span.tally.first, span.tally.last
    told = last - first + 1 if first is not None and last is not None else 0.0
    return max(told, monotonic() - began) if span.live else told
