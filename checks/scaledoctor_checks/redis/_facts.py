"""What several checks ask of a server over the window."""

from dataclasses import dataclass

from scaledoctor.sdk import Unavailable, Window
from scaledoctor.sources.queues import Queue, Queues
from scaledoctor.sources.redis.health import RedisHealth
from scaledoctor.sources.redis.traffic import RedisTraffic

ENOUGH = 1_000
"""Lookups in the window below which a hit ratio says nothing: at a true 80 % the ratio of 1,000
is within 4 points of it (three standard errors), that of 50 within 17."""

FEW = 10
"""Keys thrown out in a window below which it is chance."""


def flushes(health: RedisHealth) -> int:
    """How often a whole database was emptied since the start."""
    return health.command("flushall").calls + health.command("flushdb").calls


def queues_of(queues: Queues | None) -> list[Queue]:
    """The queues that this server holds."""
    return list(queues.queues) if queues else []


def require_rates(window: Window[RedisTraffic] | Window[RedisHealth]) -> None:
    """What was read once, or was reset meanwhile, has no rates.

    Raises:
        Unavailable: nothing can be said of growth.

    """
    if len(window) < 2:
        raise Unavailable("one reading gives no rates", "scan with --window 10")
    if window.delta(lambda h: h.hits + h.misses) is None:
        raise Unavailable("the counters were reset in the window", "scan again")


@dataclass(frozen=True, slots=True)
class Lookups:
    """Reads of keys in the window, and what was lost in it.

    ``usual`` is the hit ratio from the server's start to the window's, None when that is too
    little to say.
    """

    seconds: float
    hits: int
    misses: int
    evicted: int
    usual: float | None

    @property
    def count(self) -> int:
        """Reads, found or not."""
        return self.hits + self.misses

    @property
    def ratio(self) -> float:
        """Of the reads, those found."""
        return self.hits / self.count

    @property
    def pushed_out(self) -> float:
        """The share of the misses that room can have caused: each needs a key thrown out."""
        return min(1.0, self.evicted / self.misses) if self.misses else 0.0

    @property
    def fallen(self) -> float:
        """How far the ratio is below the usual one."""
        return max(0.0, (self.usual or 0.0) - self.ratio)


def require_lookups(window: Window[RedisTraffic]) -> Lookups:
    """The reads of the window.

    Raises:
        Unavailable: they are too few for a ratio.

    """
    require_rates(window)
    found = lookups(window)
    if found is None:
        few = window.delta(lambda t: t.hits + t.misses) or 0.0
        reason = f"{few:,.0f} lookups in {window.seconds:.0f} s: fewer than {ENOUGH:,} say nothing"
        raise Unavailable(reason, "scan with a longer --window, or in a busier hour")
    return found


def lookups(window: Window[RedisTraffic] | Window[RedisHealth]) -> Lookups | None:
    """The reads of the window; None without rates, or when they are too few to say anything."""
    hits, misses = window.delta(lambda h: h.hits), window.delta(lambda h: h.misses)
    evicted = window.delta(lambda h: h.evicted)
    if hits is None or misses is None or evicted is None or hits + misses < ENOUGH:
        return None
    before = window.first.hits + window.first.misses
    usual = window.first.hits / before if before >= ENOUGH else None
    return Lookups(window.seconds, int(hits), int(misses), int(evicted), usual)
