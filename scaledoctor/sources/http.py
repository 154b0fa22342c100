"""A page of the application, asked a few times: what it answers, how fast, and from where.

A light probe by construction (see ``_pace``): only GET, only the URL that was given, one request
after the other.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from time import monotonic

from scaledoctor.logs.access.routes import path_of
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
from scaledoctor.sources._fetch import Fetched, Reply, fetch
from scaledoctor.sources._http import SECONDS, Http, http, refused
from scaledoctor.sources._pace import GIVE_UP, PATIENCE, Host, Pace, pace
from scaledoctor.sources._page import Page, page

__all__ = ["Page", "PageSession", "Probing", "Replies", "Reply"]

FRESH_EVERY = 5
"""Every fifth request takes a new connection, which may lead to another server."""

CONDITIONAL = 7
"""The number of the request that asks whether the page has changed, by its tag."""

HOPS = 3
"""Redirects that are followed, within the page's own server."""


@fact
@dataclass(frozen=True, slots=True)
class Probing:
    """How many requests were made so far."""

    asked: int


@fact
@dataclass(frozen=True, slots=True)
class Replies:
    """All answers of a page; ``path`` is without numbers, tokens and query.

    ``page`` has the headers of its latest good answer. ``stopped`` says why we stopped early.
    """

    path: str
    replies: tuple[Reply, ...]
    page: Page | None
    stopped: str = ""


@dataclass
class PageSession:
    """A page, and what we learnt of it; cookies and tags stay here and enter no fact.

    ``leaves`` says that the connection ends with the latest request.
    """

    http: Http
    url: str
    redactor: Redactor
    pace: Pace
    host: Host
    spent: list[float]
    replies: list[Reply] = field(default_factory=list)
    page: Page | None = None
    cookies: Mapping[str, str | None] = field(default_factory=dict)
    tag: str = ""
    leaves: bool = False


@source("url", PageSession)
@asynccontextmanager
async def url(target: Target, redactor: Redactor) -> AsyncIterator[PageSession]:
    """A web page; its server sees at most 20 GET requests of user agent scaledoctor."""
    import httpx

    shared = pace()
    host = shared.host(str(httpx.URL(target.dsn).host))
    async with http(target) as client:
        session = PageSession(client, target.dsn, redactor, shared, host, client.spent)
        await _first(session)
        yield session


@probe(cost="one GET, 20 in all at most, twice a second", cadence=Cadence.SAMPLED)
async def probing(session: PageSession) -> Probing:
    """Ask once more, if the host may still be asked and it is our turn."""
    if await _may_ask(session):
        await _ask(session)
    return Probing(len(session.replies))


@probe(cost="none", cadence=Cadence.LAST)
async def replies(session: PageSession, probing: Probing) -> Replies:
    """Hand over what the page answered."""
    path = session.redactor.text(path_of(session.url))
    return Replies(path, tuple(session.replies), session.page, session.host.stopped)


async def _first(session: PageSession) -> None:
    """Ask for the page, follow redirects within its own server, and see that there is a page.

    Raises:
        Unreachable: nobody there, a login, or a redirect to somewhere else.
        Unavailable: there is no such page, or its host was asked enough.

    """
    for _ in range(HOPS + 1):
        if not await _may_ask(session, SECONDS):
            why = session.host.stopped or "too much was asked for other URLs already"
            raise Unavailable(f"not asked: {why}", "fewer --url at once")
        location = (await _ask(session)).headers.get("location")
        if not location or not 300 <= session.replies[-1].status < 400:
            return _judge(session.replies[-1])
        session.url = _followed(session.url, location)
        session.replies.clear()
    raise Unreachable("redirect", f"it is redirected more than {HOPS} times")


async def _may_ask(session: PageSession, patience: float = PATIENCE) -> bool:
    """Whether the host may be asked once more, now that it is our turn."""
    host = session.host
    return host.open and await session.pace.turn(patience) and host.open


def _judge(reply: Reply) -> None:
    if reply.status in (401, 403):
        enable = "put user:password@ into the URL, or give a page without login"
        raise Unreachable("auth", f"refused with HTTP {reply.status}", str(reply.status), enable)
    if 400 <= reply.status < 500 and reply.status != 429:
        raise Unavailable(f"it answers HTTP {reply.status}", "is the path of the URL right?")


def _followed(here: str, location: str) -> str:
    """The URL that a redirect leads to, if that is of the same server, or its https."""
    import httpx

    old = httpx.URL(here)
    try:
        new = old.join(location)
    except httpx.InvalidURL:
        raise Unreachable("redirect", "it is redirected to what is no URL") from None
    usual = (old.scheme, old.port, new.scheme, new.port) == ("http", None, "https", None)
    if new.host != old.host or not (usual or (new.scheme, new.port) == (old.scheme, old.port)):
        message = "it is redirected to another server, which was not asked"
        raise Unreachable("redirect", message, "", "give the URL that it leads to")
    return str(new.copy_with(username=old.username, password=old.password))


async def _ask(session: PageSession) -> Fetched:
    """Make one request and keep its answer.

    Raises:
        Unreachable: nobody was reached by the first one.

    """
    import httpx

    number = len(session.replies) + 1
    cookie = number % 2 == 0 and bool(session.cookies)
    conditional = number == CONDITIONAL and bool(session.tag)
    fresh = session.leaves or number == 1
    session.leaves = (number + 1) % FRESH_EVERY == 0
    session.host.asked += 1
    began = monotonic()
    try:
        headers = _headers(session, cookie=cookie, conditional=conditional)
        found = await fetch(session.http.client, session.url, headers)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        if not session.replies:
            raise refused(error) from None
        found = Fetched(Reply(0, seconds=monotonic() - began, error="no connection"))
    finally:
        session.spent.append(monotonic() - began)
    session.leaves = session.leaves or found.cut
    marked = replace(found.reply, fresh=fresh, cookie=cookie, conditional=conditional)
    _keep(session, marked, found)
    return found


def _headers(session: PageSession, *, cookie: bool, conditional: bool) -> dict[str, str]:
    headers: dict[str, str] = {}
    if session.leaves:
        headers["Connection"] = "close"
    if cookie:
        headers["Cookie"] = "; ".join(f"{k}={v or ''}" for k, v in session.cookies.items())
    if conditional:
        headers["If-None-Match"] = session.tag
    return headers


def _keep(session: PageSession, reply: Reply, found: Fetched) -> None:
    """Keep an answer, learn cookies and tag from the first good one, and heed a refusal."""
    session.replies.append(reply)
    if 200 <= reply.status < 300:
        session.page = page(found.headers, found.cookies) if not reply.cookie else session.page
        session.cookies = session.cookies or found.cookies
        session.tag = found.headers.get("etag", "")
    host = session.host
    host.failures = host.failures + 1 if reply.failed else 0
    if reply.refused:
        later = reply.retry_after
        wish = f", back in {later:.0f} s" if later is not None else ""
        host.stopped = f"the server asked us to stop (HTTP {reply.status}{wish})"
    elif host.failures >= GIVE_UP:
        host.stopped = f"{GIVE_UP} failures in a row"
