"""nginx's stub_status page: connections and requests of the whole server, nothing of upstreams."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from scaledoctor.sdk import (
    Cadence,
    Redactor,
    Target,
    Unavailable,
    Unreachable,
    fact,
    probe,
    source,
)
from scaledoctor.sources._http import Answer, Http, http

ENABLE = (
    "put into a server block: location = /stub_status { stub_status; allow 127.0.0.1; deny all; }"
)

_PAGE = re.compile(
    r"Active connections:\s*(\d+)\s+server accepts handled requests[^\n]*\n"
    r"\s*(\d+)\s+(\d+)\s+(\d+)[^\n]*\n\s*Reading:\s*(\d+)\s+Writing:\s*(\d+)\s+Waiting:\s*(\d+)"
)

# OpenResty numbers itself after the nginx inside; Tengine and Angie have numbers of their own.
_VERSION = re.compile(r"(?:nginx|openresty)/(\d+\.\d+\.\d+)")

PAUSES = (0.1, 0.2)
"""Without a free slot nginx closes our connection too: ask again after so many seconds."""

SLOTS = "look for 'worker_connections are not enough' in nginx's error log"

_CLOSED = ("disconnected without", "reset by peer", "readerror")


@dataclass
class NginxSession:
    """A client of the page, and the Server header of its first answer."""

    web: Http
    banner: str = ""

    async def page(self) -> Answer:
        """Get the page.

        Raises:
            Unreachable: as :meth:`Http.get`; "dropped" when every connection was closed on us.
            Unavailable: it answers with another status than 200.

        """
        import asyncio

        for pause in (*PAUSES, 0.0):
            try:
                return await self.web.get()
            except Unreachable as no:
                if not any(words in no.message.lower() for words in _CLOSED):
                    raise
            await asyncio.sleep(pause)
        raise Unreachable("dropped", "accepts connections and closes them at once", "", SLOTS)

    @property
    def spent(self) -> list[float]:
        """The seconds of each request."""
        return self.web.spent


@source("nginx", NginxSession)
@asynccontextmanager
async def nginx(target: Target, redactor: Redactor) -> AsyncIterator[NginxSession]:
    """nginx, through its stub_status page."""
    async with http(target) as web:
        session = NginxSession(web)
        try:
            answer = await session.page()
            _read(answer.text)
        except Unavailable as no:
            raise Unavailable(no.reason, ENABLE) from None
        session.banner = redactor.text(answer.headers.get("server", ""))
        yield session


@fact
@dataclass(frozen=True, slots=True)
class NginxServer:
    """What the Server header tells: ``version`` is empty when it hides it or is another server."""

    banner: str
    version: str

    def at_least(self, *version: int) -> bool | None:
        """Whether it is that version or newer; None when the version is unknown."""
        if not self.version:
            return None
        return tuple(map(int, self.version.split("."))) >= version


@probe(cost="none: the header of the first answer")
async def nginx_server(nginx: NginxSession) -> NginxServer:
    """Read the version from the Server header."""
    found = _VERSION.match(nginx.banner)
    return NginxServer(nginx.banner, found[1] if found else "")


@fact
@dataclass(frozen=True, slots=True)
class NginxStatus:
    """The page: our own connection is among ``active`` and ``writing``.

    ``accepts``, ``handled`` and ``requests`` count since the start or the last reload. ``writing``
    are all requests in progress, also the ones that wait for an upstream; ``waiting`` are idle
    keep-alive connections.
    """

    active: int
    accepts: int
    handled: int
    requests: int
    reading: int
    writing: int
    waiting: int

    @property
    def dropped(self) -> int:
        """Connections that were accepted and closed at once, for want of a slot."""
        return max(0, self.accepts - self.handled)


@probe(cost="1 request, < 1 ms", cadence=Cadence.SAMPLED)
async def nginx_status(nginx: NginxSession) -> NginxStatus:
    """Read the page."""
    try:
        return _read((await nginx.page()).text)
    except Unreachable as no:
        raise Unavailable(no.message, no.enable) from None


def _read(text: str) -> NginxStatus:
    found = _PAGE.search(text)
    if found is None:
        raise Unavailable("this is not a stub_status page", ENABLE)
    active, accepts, handled, requests, reading, writing, waiting = map(int, found.groups())
    return NginxStatus(active, accepts, handled, requests, reading, writing, waiting)
