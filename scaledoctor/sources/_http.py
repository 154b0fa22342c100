"""One guarded HTTP client for every source that reads a status page or an admin API."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from scaledoctor.errors import Unavailable, Unreachable
from scaledoctor.targets import Target

if TYPE_CHECKING:
    import httpx

SECONDS = 3.0
"""One request, connecting included; below the engine's deadline for a reading."""

MOST_BYTES = 64 * 2**20
"""Of one answer: HAProxy's page has about 500 bytes per server, so this is 100,000 servers."""
NO_HEADERS: Mapping[str, str] = {}

_DNS = ("name or service not known", "name resolution", "no address associated", "nodename")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: status, lower-case content type without parameters, the body as text.

    ``headers`` are those of the answer, by lower-case name.
    """

    status: int
    kind: str
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self, what: str) -> Any:
        """The body as JSON; Unavailable says what it was instead."""
        import json

        try:
            return json.loads(self.text)
        except ValueError:
            raise Unavailable(f"{what} is not JSON: {self.looks}") from None

    @property
    def looks(self) -> str:
        """What the body is, in a few words that show none of it."""
        start = self.text.lstrip()[:200].lower()
        if start.startswith(("<!doctype html", "<html")):
            return "an HTML page"
        return f"{len(self.text)} characters of {self.kind or 'an unknown type'}"


@dataclass
class Http:
    """A client for one target; ``spent`` has the seconds of each request."""

    client: "httpx.AsyncClient"
    url: str
    spent: list[float] = field(default_factory=list)

    async def get(self, path: str | None = None) -> Answer:
        """Get the target's own URL, or another path of its server.

        Raises:
            Unreachable: no connection, a refusal (401, 403), a redirect or no answer in time.
            Unavailable: it answers, but with another status than 200.

        """
        answer = await self.ask(path)
        named = urlsplit(self.url).username is not None
        _judge(answer.status, urlsplit(path or self.url).path or "/", named=named)
        return answer

    async def ask(
        self, path: str | None = None, content: bytes = b"", headers: Mapping[str, str] = NO_HEADERS
    ) -> Answer:
        """As :meth:`get`, or a POST of that content; an answer of any status is an answer.

        Raises:
            Unreachable: no connection, or no answer in time.

        """
        import httpx

        url = self.url if path is None else str(httpx.URL(self.url).join(path))
        method = "POST" if content else "GET"
        began = monotonic()
        try:
            async with self.client.stream(
                method, url, content=content or None, headers=headers
            ) as reply:
                body = await _read(reply)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise refused(error) from None
        finally:
            self.spent.append(monotonic() - began)
        kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
        text = body.decode("utf-8", "replace")
        return Answer(reply.status_code, kind, text, dict(reply.headers))

    async def reading(self, path: str | None = None) -> Answer:
        """As :meth:`get`, for a probe: whatever goes wrong is Unavailable."""
        try:
            return await self.get(path)
        except Unreachable as no:
            raise Unavailable(no.message, no.enable) from None


@asynccontextmanager
async def http(target: Target) -> AsyncIterator[Http]:
    """Open a client; basic authentication comes from the URL. Certificates are verified.

    Proxies of the environment are not used: an admin API is reached directly or not at all.
    """
    import ssl

    import httpx

    async with httpx.AsyncClient(
        timeout=SECONDS,
        verify=ssl.create_default_context(),
        trust_env=False,
        headers={"User-Agent": "scaledoctor", "Accept": "*/*"},
    ) as client:
        yield Http(client, target.dsn)


async def _read(reply: "httpx.Response") -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in reply.aiter_bytes():
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise Unavailable(f"the answer is larger than {MOST_BYTES // 2**20} MB")
    return b"".join(parts)


def _judge(status: int, path: str, *, named: bool) -> None:
    """Let 200 through; ``named`` says that a user stands in the URL."""
    if status in (401, 403):
        enable = "put user:password@ into the URL"
        if named:
            enable = "are user and password of the URL right, and may this user see the page?"
        raise Unreachable("auth", f"refused with HTTP {status}", str(status), enable)
    if 300 <= status < 400:
        raise Unreachable("redirect", f"{path} is redirected (HTTP {status})", str(status))
    if status != 200:
        raise Unavailable(f"{path} answers HTTP {status}", "is the path of the URL right?")


def refused(error: Exception) -> Unreachable:
    """Classify what went wrong by the words of the operating system and OpenSSL."""
    import httpx

    cut = isinstance(error, httpx.NetworkError) and not str(error)
    words = "the connection was cut" if cut else str(error) or type(error).__name__
    if isinstance(error, httpx.TimeoutException):
        return Unreachable("timeout", f"no answer within {SECONDS:g} s")
    if "WRONG_VERSION_NUMBER" in words.upper():
        return Unreachable("tls", "it does not speak TLS on this port", "", "use http:// here")
    if "CERTIFICATE" in words.upper() or "SSL" in words.upper() or "TLS" in words.upper():
        enable = "name its authority in SSL_CERT_FILE, or use http:// on a private network"
        return Unreachable("tls", f"TLS failed: {words}", "", enable)
    if any(text in words.lower() for text in _DNS):
        words = "the host name cannot be resolved"
        return Unreachable("dns", words, "", "check the host name in the URL")
    if _was_refused(error):
        words = "nothing listens there"
    if isinstance(error, httpx.ProtocolError):
        return Unreachable("protocol", f"what answers does not speak HTTP: {words}")
    enable = "is it running, are host and port right?"
    if cut:
        enable = "is it another protocol there: https:// for http://?"
    return Unreachable("refused", words, "", enable)


def _was_refused(error: BaseException | None) -> bool:
    """Whether the port is closed: httpx keeps the reason of several addresses in the causes."""
    while error is not None and not isinstance(error, ConnectionRefusedError):
        error = error.__cause__ or error.__context__
    return error is not None
