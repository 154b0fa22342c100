"""One model for every queue on every system: what waits, since when, and who works on it."""

from dataclasses import dataclass

from scaledoctor.sdk import fact

ALL = "all queues"
"""The name under which a system's numbers stand that it tells of all its queues together."""


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue at one moment; None where its system does not tell.

    ``ready`` counts jobs that a free worker could start now, ``oldest`` is the age in seconds of
    the oldest of them. ``in_flight`` jobs are being worked on, ``slots`` is how many could be.
    ``consumers`` are processes or connections that take jobs from it and are alive. ``scheduled``
    wait for their time, ``retrying`` for another try, ``dead`` for people. ``arrived`` and
    ``done`` are counters since some start: only their growth means something.

    ``reserved`` jobs were handed out ahead of time and nobody works on them yet; ``idle`` of the
    ``consumers`` have nothing to do. ``stuck`` jobs are held by a worker that is gone.
    ``held`` is the age in seconds of the oldest job handed out; after ``timeout`` seconds it is
    handed out once more. ``more``: counting ended at ``ready``, and there are more.
    """

    system: str
    name: str
    ready: int
    oldest: float | None = None
    in_flight: int | None = None
    slots: int | None = None
    consumers: int | None = None
    scheduled: int | None = None
    retrying: int | None = None
    dead: int | None = None
    arrived: float | None = None
    done: float | None = None
    paused: bool = False
    reserved: int | None = None
    idle: int | None = None
    stuck: int | None = None
    held: float | None = None
    timeout: float | None = None
    more: bool = False

    @property
    def label(self) -> str:
        """How people know it: "rq default"."""
        return f"{self.system} {self.name}"


@dataclass(frozen=True, slots=True)
class Unread:
    """A place where queues are and that could not be read: why, and what would enable it."""

    name: str
    reason: str
    enable: str


@fact
@dataclass(frozen=True, slots=True)
class Queues:
    """The queues of one target at one moment; ``complete`` False when the look was cut short.

    ``misnamed`` were asked for by name and are no queue, or not there.
    """

    queues: tuple[Queue, ...]
    complete: bool = True
    unread: tuple[Unread, ...] = ()
    misnamed: tuple[Unread, ...] = ()

    def find(self, system: str, name: str) -> Queue | None:
        """The queue of that system and name."""
        return next((q for q in self.queues if (q.system, q.name) == (system, name)), None)
