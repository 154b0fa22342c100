"""The settings that health depends on; managed services and most users may not read them."""

from collections.abc import Mapping
from dataclasses import dataclass

from scaledoctor.sdk import Unavailable, fact, probe
from scaledoctor.sources.redis._allowed import SETTINGS
from scaledoctor.sources.redis.session import RedisSession


@fact
@dataclass(frozen=True, slots=True)
class RedisConfig:
    """Settings by name, those alone that we ask for; never a password."""

    values: Mapping[str, str]

    @property
    def saves(self) -> bool:
        """It takes snapshots by itself."""
        return bool(self.values.get("save", "").strip())

    @property
    def appends(self) -> bool:
        """It appends each change to a file."""
        return self.values.get("appendonly") == "yes"


@probe(cost="5 CONFIG GET of one setting each, once")
async def redis_config(redis: RedisSession) -> RedisConfig:
    """Read a few settings, each by its name."""
    replies = await redis.run(*(("CONFIG", "GET", name) for name in SETTINGS))
    found = {
        name: reply[1].decode("utf-8", "replace")
        for name, reply in zip(SETTINGS, replies, strict=True)
        if isinstance(reply, list) and len(reply) == 2
    }
    if not found:
        raise Unavailable("CONFIG GET is refused, as managed services do", redis.grant)
    return RedisConfig(found)
