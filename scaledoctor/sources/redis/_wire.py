"""One connection: guarded commands out, raw replies in, and never an endless wait."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

from scaledoctor.errors import Unavailable
from scaledoctor.sources.redis._allowed import Command, name_of, require_allowed
from scaledoctor.sources.redis._refusal import SECONDS, refusal

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

GOODBYE = 0.5
"""Seconds to end a connection in order."""

Reply = Any
"""int, bytes, None or a list of replies; an ``Exception`` where the server refused."""


@dataclass
class Wire:
    """A connection to one server; ``lost`` says why it cannot be used any more.

    ``fault`` is what redis-py said then.
    """

    connection: "AbstractConnection"
    spent: list[float] = field(default_factory=list)
    commands: int = 0
    db: int = 0
    lost: str = ""
    fault: Exception | None = None

    async def run(self, commands: Sequence[Command], db: int = 0) -> list[Reply]:
        """Send a batch in one go; a refused command gives its error in place of a reply.

        Raises:
            Unavailable: the connection is gone, or the server was silent for too long.

        """
        if self.lost:
            raise Unavailable(self.lost)
        for command in commands:
            require_allowed(command)
        selecting: list[Command] = [("SELECT", db)] if db != self.db else []
        began, self.lost = monotonic(), "a reading was cut short"
        try:
            replies = await self._exchange([*selecting, *commands])
        finally:
            self.spent.append(monotonic() - began)
            self.commands += len(selecting) + len(commands)
        self.lost = ""
        if selecting and isinstance(replies[0], Exception):  # the others went to another database
            self.fault = replies[0]
            raise Unavailable(refusal(str(self.fault)).message)
        self.db = db
        return replies[len(selecting) :]

    async def _exchange(self, commands: Sequence[Command]) -> list[Reply]:
        import asyncio

        import redis

        try:
            async with asyncio.timeout(SECONDS):
                packed = self.connection.pack_commands([tuple(c) for c in commands])
                await self.connection.send_packed_command(packed)
                return [await self._reply() for _ in commands]
        except TimeoutError as error:
            self.fault = error
            self.lost = f"no answer to {name_of(commands[-1])} within {SECONDS:g} s"
            raise Unavailable(self.lost) from None
        except (redis.RedisError, OSError) as error:
            self.fault = error
            self.lost = f"connection lost: {refusal(str(error)).message}"
            raise Unavailable(self.lost) from None

    async def _reply(self) -> Reply:
        import redis

        try:
            return await self.connection.read_response(disable_decoding=True)
        except redis.ResponseError as error:
            return error

    async def close(self) -> None:
        """End it; TLS says goodbye, which a silent server may make us wait for, but not long."""
        import asyncio
        from contextlib import suppress

        import redis

        with suppress(TimeoutError, OSError, redis.RedisError):
            async with asyncio.timeout(GOODBYE):
                await self.connection.disconnect()
