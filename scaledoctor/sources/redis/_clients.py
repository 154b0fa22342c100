"""Who is connected: seen at most every few seconds, and not at all when there are too many."""

from dataclasses import dataclass
from time import monotonic

from scaledoctor.sources.redis.session import RedisSession

EVERY = 4.0
"""Seconds between two looks: three in a scan of ten seconds."""

TOO_MANY = 5_000
"""Connections above which we do not ask: some 300 bytes each, 1.5 MB in one reply."""

BLOCKED = frozenset({"blpop", "brpop", "blmove", "brpoplpush", "bzpopmin", "bzpopmax", "blmpop"})
"""Commands in which a consumer waits for a job."""


@dataclass(frozen=True, slots=True)
class Client:
    """One connection: never stored, only compared with what workers say of themselves."""

    address: str
    name: str
    db: int
    command: str
    patterns: int
    idle: int = 0
    blocked: bool = False

    @property
    def label(self) -> str:
        """Its name, or the host that it comes from."""
        return self.name or self.address.rpartition(":")[0]

    @property
    def waits(self) -> bool:
        """It waits for a job."""
        return self.command in BLOCKED


async def clients(session: RedisSession) -> list[Client] | None:
    """All connections but ours; None when we may not look."""
    kept: tuple[float, list[Client] | None] | None = session.memory.get("clients")
    if kept is not None and monotonic() - kept[0] < EVERY:
        return kept[1]
    found: list[Client] | None = None
    if int(session.info.get("connected_clients") or 0) <= TOO_MANY:
        (reply,) = await session.run(("CLIENT", "LIST"))
        found = clients_of(reply) if isinstance(reply, bytes) else None
    session.memory["clients"] = monotonic(), found
    return found


def clients_of(reply: bytes) -> list[Client]:
    """Read CLIENT LIST: a line of name=value words for each connection."""
    found: list[Client] = []
    for line in reply.decode("utf-8", "replace").splitlines():
        parts = (word.partition("=") for word in line.split())
        words = {name: value for name, _, value in parts}
        if words.get("name") != "scaledoctor":
            found.append(
                Client(
                    address=words.get("addr", ""),
                    name=words.get("name", ""),
                    db=int(words.get("db") or 0),
                    command=words.get("cmd", "").lower(),
                    patterns=int(words.get("psub") or 0),
                    idle=int(words.get("idle") or 0),
                    blocked="b" in words.get("flags", ""),
                )
            )
    return found
