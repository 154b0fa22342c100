"""What the readers of the frameworks share: a database to ask, and how to read its answers."""

import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from scaledoctor.sources.queues import Queue
from scaledoctor.sources.redis._allowed import MOST, Command
from scaledoctor.sources.redis._clients import Client, clients
from scaledoctor.sources.redis._wire import Reply
from scaledoctor.sources.redis.session import RedisSession

FEW = 100
"""Workers or jobs of one queue that are looked at one by one."""


@dataclass(frozen=True, slots=True)
class Db:
    """One database of a server."""

    session: RedisSession
    number: int

    async def run(self, *commands: Command) -> list[Reply]:
        """Send a batch; None where a command is not possible."""
        return await self.session.run(*commands, db=self.number)

    async def members(self, *keys: bytes) -> list[list[bytes]]:
        """The members of small sets; of a large one a part."""
        pages = await self.run(*(("SSCAN", key, 0, "COUNT", MOST) for key in keys))
        return [sorted(page[1]) if isinstance(page, list) else [] for page in pages]

    async def clients(self) -> list[Client] | None:
        """The connections that use this database; None when they cannot be seen."""
        found = await clients(self.session)
        return None if found is None else [c for c in found if c.db == self.number]

    def now(self) -> float:
        """The server's clock."""
        return self.session.now()

    def text(self, name: bytes) -> str:
        """A name as we keep it: redacted, and with its database unless the URL names that."""
        clean = self.session.redactor.text(name.decode("utf-8", "replace"))
        plain = not self.number or self.session.where.db is not None
        return clean if plain else f"{clean}@{self.number}"

    def kept(self, name: str, default: Any) -> Any:
        """What a reader keeps from one reading to the next."""
        return self.session.memory.setdefault(f"{name} of {self.number}", default)


@dataclass(frozen=True, slots=True)
class Framework:
    """How one framework's queues are found and read.

    ``anchors`` are keys that give it away, ``pattern`` matches any key that does. ``names`` gets
    those that exist and gives the queues; ``read`` gets these.
    """

    system: str
    anchors: tuple[bytes, ...]
    pattern: re.Pattern[bytes]
    names: Callable[[Db, Sequence[bytes]], Awaitable[list[bytes]]]
    read: Callable[[Db, Sequence[bytes]], Awaitable[list[Queue]]]


def rows(replies: Sequence[Reply], width: int) -> Iterator[Sequence[Reply]]:
    """Cut the replies of one batch into those of each queue."""
    return (replies[i : i + width] for i in range(0, len(replies), width))


def number(reply: Reply) -> int:
    """A count; 0 where the key is of another type."""
    return reply if isinstance(reply, int) else 0


def decimal(reply: Reply) -> float | None:
    """A number that the server gives as text."""
    try:
        return float(reply)
    except (TypeError, ValueError):
        return None


def age(now: float, stamp: float | None) -> float | None:
    """Seconds since a time of the epoch; clocks may differ, so never negative."""
    return None if stamp is None else round(max(0.0, now - stamp), 3)


def iso(reply: Reply) -> float | None:
    """An ISO time as seconds of the epoch; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(reply.decode())
    except (AttributeError, ValueError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def document(reply: Reply) -> Mapping[str, Any]:
    """A JSON object; an empty one for anything else."""
    try:
        found = json.loads(reply)
    except (TypeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
