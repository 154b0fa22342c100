"""One GET of a page, timed in its parts; what comes back is an answer, whatever it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

from scaledoctor.sources._http import SECONDS
from scaledoctor.sources._page import digest, instance, retry_after

if TYPE_CHECKING:
    import httpx

MARGIN = 0.5
"""Seconds for a body after the last byte came in time; still within the engine's deadline."""

MOST_BODY = 1 << 18
"""Bytes of one answer that are read; 20 answers are 5 MB at most."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; times in seconds.

    ``connect`` and ``tls`` are None on a connection that was open; ``first_byte`` is from the
    request sent to the end of the headers; ``status`` is 0 when ``error`` says what came instead.
    ``fresh`` marks a new connection that we wanted, ``closed`` one that the server ends although
    we did not ask for it. ``cookie`` says that the cookies of the first answer were sent.
    ``instance`` and ``body`` are hashes, empty when unknown.
    """

    status: int
    connect: float | None = None
    tls: float | None = None
    first_byte: float = 0.0
    seconds: float = 0.0
    size: int = 0
    fresh: bool = False
    closed: bool = False
    cookie: bool = False
    conditional: bool = False
    instance: str = ""
    body: str = ""
    retry_after: float | None = None
    error: str = ""

    @property
    def failed(self) -> bool:
        """No answer, or one of 500 and above."""
        return self.status == 0 or self.status >= 500

    @property
    def refused(self) -> bool:
        """The server asks us to come back later: 429, or 503 with Retry-After."""
        return self.status == 429 or (self.status == 503 and self.retry_after is not None)


@dataclass(slots=True)
class Fetched:
    """One answer with what enters no fact: its headers and the values of its cookies.

    ``cut`` says that we left before the end of the body, which ends the connection.
    """

    reply: Reply
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str | None] = field(default_factory=dict)
    cut: bool = False


async def fetch(client: "httpx.AsyncClient", url: str, headers: Mapping[str, str]) -> Fetched:
    """Get a URL without following redirects and with no cookies but those of ``headers``.

    Raises:
        httpx.HTTPError: nobody was reached, or nobody who speaks HTTP.

    """
    import asyncio

    import httpx

    client.cookies.clear()
    events: dict[str, float] = {}

    async def trace(event: str, _: Any) -> None:
        events[event.partition(".")[2]] = monotonic()

    began = monotonic()
    try:
        async with (
            asyncio.timeout(SECONDS + MARGIN),
            client.stream("GET", url, headers=headers, extensions={"trace": trace}) as answer,
        ):
            body, cut = await _body(answer)
    except (TimeoutError, httpx.ReadTimeout, httpx.PoolTimeout, httpx.WriteTimeout):
        took = monotonic() - began
        return Fetched(Reply(0, seconds=took, error=f"no answer within {SECONDS:g} s"))
    except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError) as error:
        if isinstance(error, httpx.RemoteProtocolError) and "disconnected" not in str(error):
            raise  # it does not speak HTTP
        took = monotonic() - began
        return Fetched(Reply(0, seconds=took, error="the connection was cut"))
    found = {name.lower(): value for name, value in answer.headers.items()}
    reply = Reply(
        status=answer.status_code,
        connect=_between(events, "connect_tcp.started", "connect_tcp.complete"),
        tls=_between(events, "start_tls.started", "start_tls.complete"),
        first_byte=_between(
            events, "send_request_headers.started", "receive_response_headers.complete"
        )
        or 0.0,
        seconds=round(monotonic() - began, 4),
        size=len(body),
        closed=_closes(answer),
        instance=instance(found),
        body=digest(body) if body and not cut else "",
        retry_after=retry_after(found.get("retry-after", "")),
    )
    return Fetched(reply, found, {c.name: c.value for c in answer.cookies.jar}, cut)


async def _body(answer: "httpx.Response") -> tuple[bytes, bool]:
    """The body as it was sent, compressed or not, and whether there was more."""
    parts: list[bytes] = []
    async for part in answer.aiter_raw():
        parts.append(part)
        if sum(map(len, parts)) > MOST_BODY:
            return b"".join(parts), True
    return b"".join(parts), False


def _between(events: Mapping[str, float], start: str, end: str) -> float | None:
    if start not in events or end not in events:
        return None
    return round(events[end] - events[start], 4)


def _closes(answer: "httpx.Response") -> bool:
    asked = "close" in answer.request.headers.get("connection", "").lower()
    said = answer.headers.get("connection", "").lower()
    old = answer.http_version == "HTTP/1.0" and "keep-alive" not in said
    return not asked and ("close" in said or old)
