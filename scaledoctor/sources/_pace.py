"""How often we ask a web page: so seldom that it can never be a load test.

The limits hold for one collection as a whole, however many URLs are given: they are constants,
and there is no option for them.
"""

from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

MOST = 20
"""Requests to one host, the first one and redirects included."""

APART = 0.25
"""Seconds between the starts of two requests, to whatever host: at most four a second."""

PATIENCE = 0.4
"""Seconds that a request may wait for its turn; less than the engine's tick of half a second."""

GIVE_UP = 5
"""Failures in a row after which a host is left alone."""


@dataclass(slots=True)
class Host:
    """What one host was asked; ``stopped`` says why it is not asked any more."""

    asked: int = 0
    failures: int = 0
    stopped: str = ""

    @property
    def open(self) -> bool:
        """Whether it may be asked once more."""
        return not self.stopped and self.asked < MOST


@dataclass(slots=True)
class Pace:
    """All requests of one collection: the hosts, and when the next one may start."""

    hosts: dict[str, Host] = field(default_factory=dict)
    next: float = 0.0

    def host(self, name: str) -> Host:
        """What that host was asked so far."""
        return self.hosts.setdefault(name, Host())

    async def turn(self, patience: float = PATIENCE) -> bool:
        """Wait for the next free moment; False when it is further away than ``patience``."""
        import asyncio

        now = monotonic()
        begin = max(now, self.next)
        if begin - now > patience:
            return False
        self.next = begin + APART
        await asyncio.sleep(begin - now)
        return True


_PACES: "WeakKeyDictionary[Any, Pace]" = WeakKeyDictionary()


def pace() -> Pace:
    """The pace of the collection that runs now: one for each event loop, gone with it."""
    import asyncio

    loop = asyncio.get_running_loop()
    return _PACES.setdefault(loop, Pace())
