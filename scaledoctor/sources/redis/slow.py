"""What was slow, as the server itself noted it: names of commands, never their arguments."""

from collections.abc import Callable
from dataclasses import dataclass

from scaledoctor.sdk import Cadence, Unavailable, fact, probe
from scaledoctor.sources.redis._allowed import FAMILIES
from scaledoctor.sources.redis._wire import Reply
from scaledoctor.sources.redis.session import RedisSession

ENTRIES = 64
"""Of the slow log: an entry is at most 32 arguments of 128 bytes, so 256 kB at worst."""


@dataclass(frozen=True, slots=True)
class SlowCommand:
    """One entry: the command with how many arguments, how long it took, how long ago.

    ``client`` is the name of who sent it, else its address; empty where the server keeps neither.
    """

    name: str
    arguments: int
    seconds: float
    ago: float
    client: str = ""


@dataclass(frozen=True, slots=True)
class LatencyEvent:
    """The last and the worst of one kind of stall, in seconds; ``ago`` is that of the last."""

    name: str
    last: float
    worst: float
    ago: float


@fact
@dataclass(frozen=True, slots=True)
class RedisSlow:
    """Entries of the slow log, and stalls that the latency monitor saw; None: not allowed."""

    commands: tuple[SlowCommand, ...] | None
    events: tuple[LatencyEvent, ...] | None


@probe(cost="SLOWLOG GET 64 and LATENCY LATEST, once", cadence=Cadence.LAST)
async def redis_slow(redis: RedisSession) -> RedisSlow:
    """Read the slow log and the latency monitor."""
    log, events = await redis.run(("SLOWLOG", "GET", ENTRIES), ("LATENCY", "LATEST"))
    if log is None and events is None:
        raise Unavailable("SLOWLOG and LATENCY are refused here", redis.grant)
    return slow_of(log, events, redis.now(), redis.redactor.text)


def slow_of(log: Reply, events: Reply, now: float, clean: Callable[[str], str]) -> RedisSlow:
    """Read both replies; ``clean`` masks what may be a secret in a client's name."""
    return RedisSlow(
        commands=None if log is None else tuple(_entry(entry, now, clean) for entry in log),
        events=None if events is None else tuple(_event(event, now) for event in events),
    )


def _event(event: Reply, now: float) -> LatencyEvent:
    name, at, last, worst = event[:4]
    return LatencyEvent(name.decode(), last / 1e3, worst / 1e3, max(0.0, now - at))


def _entry(entry: Reply, now: float, clean: Callable[[str], str]) -> SlowCommand:
    """Keep the name: of ``CONFIG GET x`` both words, of any other the first alone."""
    _, at, microseconds, words = entry[:4]
    first = words[0].decode("utf-8", "replace").lower()[:40] if words else ""
    second = first.upper() in FAMILIES and len(words) > 1
    name = f"{first}|{words[1].decode('utf-8', 'replace').lower()[:40]}" if second else first
    address, client = (part.decode("utf-8", "replace") for part in (*entry[4:6], b"", b"")[:2])
    who = clean(client or address.rpartition(":")[0])[:60]
    return SlowCommand(name, len(words) - 1, microseconds / 1e6, max(0.0, now - at), who)
