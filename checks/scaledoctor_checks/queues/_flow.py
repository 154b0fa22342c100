"""A queue over the window: what comes, what is done, how long a job waits, whether it drains."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, inf

from scaledoctor.sdk import Unavailable, Window
from scaledoctor.sources.queues import Queue, Queues

OVER = 9.0
"""Seconds of window below which growth is no trend; tiers of ten seconds, less a tick of ours."""

GROWN, GROWN_SHARE = 10, 0.05
"""More jobs, and more of what waited at first, than chance gives in one window."""

LONG = 60.0
"""Seconds of waiting on which peers alert: Sidekiq latency and RabbitMQ head age
(awesome-prometheus-alerts). What is worked off within them is at work, not in need."""

LATE = LONG / 2
"""Seconds of waiting below which nobody notices a queue that grows, whatever its depth."""

DEEP = 100
"""Jobs that stand in for the wait where nothing tells it: Sidekiq's alert of the same peers."""

SPARE = 1.2
"""Capacity over arrivals that works a backlog off: at 1.0 it stays for ever."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One queue over the window; ``queue`` is its last reading.

    ``arrival`` and ``service`` are jobs per second, None where nothing counts them. ``thirds``
    are the mean depths of the window's thirds. ``busy`` is the mean number of jobs worked on,
    ``consumers`` the most seen.
    """

    queue: Queue
    readings: Sequence[Queue]
    seconds: float
    thirds: tuple[float, float, float]
    arrival: float | None
    service: float | None
    busy: float | None
    consumers: int | None

    @property
    def key(self) -> str:
        """The resource that its workers are."""
        return f"queue.workers:{self.queue.label}"

    @property
    def grown(self) -> int:
        """Jobs more than at the beginning."""
        return self.queue.ready - self.readings[0].ready

    @property
    def never_empty(self) -> bool:
        """Something waited at every reading."""
        return min(q.ready for q in self.readings) > 0

    @property
    def swells(self) -> bool:
        """It grew in each third of the window, and by more than chance: a trend, not a burst."""
        least = max(GROWN, GROWN_SHARE * self.readings[0].ready)
        first, second, third = self.thirds
        return self.seconds >= OVER and self.grown > least and first < second < third

    @property
    def never_drains(self) -> bool:
        """It swells, and a job waits, or will if it comes now, until somebody notices."""
        known = [seconds for seconds in (self.queue.oldest, self.wait) if seconds is not None]
        return self.swells and (max(known) >= LATE if known else self.queue.ready >= DEEP)

    @property
    def needy(self) -> bool:
        """It will not be worked off soon: it swells, waits long, or nobody is there to do it."""
        if self.consumers == 0 and self.never_empty:
            return self.queue.oldest is None or self.queue.oldest >= LATE
        return self.never_drains or ((self.late or 0.0) >= LONG and self.drains > LONG)

    @property
    def wait(self) -> float | None:
        """By Little's law, the seconds that a job which arrives now will wait."""
        return self.queue.ready / self.service if self.service else None

    @property
    def late(self) -> float | None:
        """How long jobs wait: the oldest one's age, or by Little's law where ages are not kept."""
        if not self.queue.ready:
            return 0.0
        return self.wait if self.queue.oldest is None else self.queue.oldest

    @property
    def drains(self) -> float:
        """Seconds until it is empty if all goes on like this; infinite when it never is."""
        if not self.queue.ready:
            return 0.0
        return self.queue.ready * self.seconds / -self.grown if self.grown < 0 else inf

    @property
    def slots(self) -> int | None:
        """Jobs that can be worked on at once: as told, else as many as are, while others wait."""
        if self.queue.slots:
            return self.queue.slots
        if self.busy and self.never_empty:
            return max(1, round(self.busy))
        return self.consumers or None

    @property
    def idle(self) -> bool:
        """Half of its slots or more have nothing to do, though jobs wait."""
        slots, busy = self.queue.slots, self.busy
        return bool(slots and busy is not None and busy < 0.5 * slots and self.never_empty)

    @property
    def needed(self) -> int | None:
        """Slots that keep up with what arrives, and a fifth above."""
        if not self.slots or not self.arrival or not self.service:
            return None
        return ceil(self.slots * self.arrival / self.service * SPARE)


def flows(window: Window[Queues]) -> Iterator[Flow]:
    """Every queue that was seen at each reading."""
    for queue in window.last.queues:
        found = [(at, q.find(queue.system, queue.name)) for at, q in window.samples]
        taken = [(at, q) for at, q in found if q is not None]
        if len(taken) == len(found):
            yield _flow(taken)


def require_told(found: Sequence[Flow], tells: Callable[[Queue], bool], what: str) -> None:
    """What no queue tells is not ruled out.

    Raises:
        Unavailable: there are queues, and none of them tells it at any reading.

    """
    if found and not any(tells(queue) for flow in found for queue in flow.readings):
        systems = ", ".join(sorted({flow.queue.system for flow in found}))
        raise Unavailable(f"nothing tells {what} ({systems})")


def _flow(taken: list[tuple[float, Queue]]) -> Flow:
    seconds = taken[-1][0] - taken[0][0]
    readings = [queue for _, queue in taken]
    growth = (readings[-1].ready - readings[0].ready) / seconds if seconds else 0.0
    arrival, service = _rate(taken, lambda q: q.arrived), _rate(taken, lambda q: q.done)
    if arrival is None and service is not None:
        arrival = max(0.0, service + growth)
    elif service is None and arrival is not None:
        service = max(0.0, arrival - growth)
    working = [q.in_flight for q in readings if q.in_flight is not None]
    alive = [q.consumers for q in readings if q.consumers is not None]
    third = max(1, len(readings) // 3)
    parts = (readings[:third], readings[third:-third] or readings, readings[-third:])
    first, second, last = (sum(q.ready for q in part) / len(part) for part in parts)
    return Flow(
        queue=readings[-1],
        readings=readings,
        seconds=seconds,
        thirds=(first, second, last),
        arrival=arrival,
        service=service,
        busy=sum(working) / len(working) if working else None,
        consumers=max(alive, default=None),
    )


def _rate(
    taken: list[tuple[float, Queue]], counter: Callable[[Queue], float | None]
) -> float | None:
    """Growth per second from its first value to its last change; None when it cannot be known.

    Some counters move in steps, as a worker's heartbeat tells them: what follows the last step
    is not known yet.
    """
    known = [(at, value) for at, queue in taken if (value := counter(queue)) is not None]
    if len(known) < 2 or any(b < a for (_, a), (_, b) in pairwise(known)):
        return None
    (began, first), (_, last) = known[0], known[-1]
    ended = next((at for at, value in known if value == last), began)
    if last == first:
        return 0.0
    return (last - first) / (ended - began)
