"""RabbitMQ's management API: GET only, and only what lists and counts."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from time import monotonic, time
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from scaledoctor.sdk import Redactor, Target, Unavailable, Unreachable, source
from scaledoctor.sources._http import Answer, Http, http
from scaledoctor.sources.rabbitmq._refusal import NOT_IT, explain, judge, tag, user_of
from scaledoctor.sources.rabbitmq._values import Json

Query = Mapping[str, str | int]
NO_QUERY: Query = {}


@dataclass
class RabbitSession:
    """A client, the user's name and tags, and /api/overview as it was at the start.

    ``ahead`` is how far the broker's clock is ahead of ours, in seconds. ``memory`` carries a
    probe's first reading to its next one.
    """

    web: Http
    base: str
    redactor: Redactor
    user: str
    tags: tuple[str, ...]
    overview: Json
    ahead: float
    opened: float = field(default_factory=monotonic)
    memory: dict[str, Any] = field(default_factory=dict)

    @property
    def spent(self) -> list[float]:
        """The seconds of each request."""
        return self.web.spent

    @property
    def monitors(self) -> bool:
        """Whether the user may see nodes and everybody's connections."""
        return bool({"monitoring", "administrator"} & set(self.tags))

    def now(self) -> float:
        """The broker's clock, in seconds of the epoch."""
        return time() + self.ahead

    def require_monitoring(self, what: str) -> None:
        """Raise Unavailable, with the tag that it takes, for a user who sees only its own."""
        if not self.monitors:
            lacks = "it has the tag management, not monitoring"
            raise Unavailable(f"user {self.user} may not see {what}: {lacks}", tag(self.user))

    async def json(self, *path: str, query: Query = NO_QUERY) -> Any:
        """One answer; the parts of the path are names as they are, encoded here.

        Raises:
            Unavailable: a refusal, another status, no answer, or something else than JSON.

        """
        answer = await self.ask(*path, query=query)
        return answer.json(f"/api/{'/'.join(path)}")

    async def ask(self, *path: str, query: Query = NO_QUERY, also: int = 200) -> Answer:
        """As :meth:`json`, before it is read; the status ``also`` is an answer too.

        A second try after a failure of RabbitMQ's own: its cache fails one of two clients that
        are the first to ask, such as a dashboard and us (seen with 3.10).
        """
        place = place_of(self.base, path, query)
        try:
            answer = await self.web.ask(place)
            if answer.status == 500:
                answer = await self.web.ask(place)
            if answer.status != also:
                judge(answer, place.partition("?")[0], self.user)
        except Unreachable as no:
            raise Unavailable(no.message, no.enable) from None
        return answer


def place_of(base: str, path: tuple[str, ...], query: Query = NO_QUERY) -> str:
    """The path of a request: a virtual host "/" is %2F in it."""
    words = "/".join(quote(p, safe="") for p in path)
    return f"{base}/api/{words}" + (f"?{urlencode(query)}" if query else "")


@source("rabbitmq", RabbitSession)
@asynccontextmanager
async def rabbitmq(target: Target, redactor: Redactor) -> AsyncIterator[RabbitSession]:
    """RabbitMQ, through its management API."""
    base = urlsplit(target.dsn).path.rstrip("/").removesuffix("/api")
    user = user_of(target.dsn)
    async with http(target) as web:
        try:
            overview, answer = await _object(web, place_of(base, ("overview",)), user)
            if "rabbitmq_version" not in overview:
                raise Unavailable("this is not RabbitMQ's management API", NOT_IT)
            me, _ = await _object(web, place_of(base, ("whoami",)), user)
        except Unreachable as no:
            raise await explain(no, target.dsn) from None
        yield RabbitSession(
            web=web,
            base=base,
            redactor=redactor,
            user=redactor.text(user),
            tags=tags_of(me.get("tags")),
            overview=overview,
            ahead=_ahead(answer),
        )


async def _object(web: Http, place: str, user: str) -> tuple[Json, Answer]:
    answer = await web.ask(place)
    judge(answer, place, user)
    try:
        found = answer.json("what answers")
    except Unavailable as no:
        raise Unavailable(f"{no.reason}: not RabbitMQ's management API", NOT_IT) from None
    if not isinstance(found, dict):
        raise Unavailable("this is not RabbitMQ's management API", NOT_IT)
    return found, answer


def tags_of(tags: Any) -> tuple[str, ...]:
    """A list, or text with commas before 3.9."""
    words = tags.split(",") if isinstance(tags, str) else tags if isinstance(tags, list) else ()
    return tuple(sorted(str(w).strip() for w in words if str(w).strip()))


def _ahead(answer: Answer) -> float:
    try:
        return parsedate_to_datetime(answer.headers.get("date", "")).timestamp() - time()
    except (TypeError, ValueError):
        return 0.0
