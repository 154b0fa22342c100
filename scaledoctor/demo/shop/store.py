"""What the service keeps in Redis: pages that are dear to make, and jobs for later."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis

LIFE = 600
"""Seconds for which a page is kept."""


@dataclass(frozen=True, slots=True)
class Store:
    """Clients of both servers, None where the shop has none; shared by all threads."""

    cache: redis.Redis | None
    queue: redis.Redis | None
    jobs: str

    @classmethod
    def of(cls, cache: int | None, queue: int | None, jobs: str) -> "Store":
        """By their loopback ports; `jobs` is the name of the stream."""
        found = [None if port is None else redis.Redis(port=port) for port in (cache, queue)]
        return cls(found[0], found[1], jobs)

    def page(self, key: int, make: Callable[[], str]) -> str:
        """A page from the cache, or made and kept; without a cache made each time."""
        if self.cache is None:
            return make()
        name = f"page:{key}"
        kept: Any = self.cache.get(name)
        if kept is not None:
            return str(kept, "utf-8")
        page = make()
        self.cache.set(name, page, ex=LIFE)
        return page

    def later(self, order: int) -> None:
        """Leave what can wait of an order to the workers."""
        if self.queue is not None:
            self.queue.xadd(self.jobs, {"order": order})
