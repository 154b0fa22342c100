"""Queues over a window for the tests of checks, with the values that do not matter filled in."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from scaledoctor.sdk import Finding, Window
from scaledoctor.sources.queues import Queue, Queues

_QUEUE = Queue(system="rq", name="mail", ready=0)

READINGS = 21


def queue(**changes: Any) -> Queue:
    """An empty queue of which nothing else is known."""
    return replace(_QUEUE, **changes)


def over(
    change: Callable[[float], dict[str, Any]], *others: Queue, seconds: float = 10.0, **same: Any
) -> Window[Queues]:
    """A queue that changes with the share 0..1 of the window that has passed, beside others."""
    step = seconds / (READINGS - 1)
    facts = (
        Queues((queue(**{**same, **change(i / (READINGS - 1))}), *others)) for i in range(READINGS)
    )
    return Window.of(*facts, every=step)


def still(*others: Queue, seconds: float = 10.0, **same: Any) -> Window[Queues]:
    """A queue that does not change."""
    return over(lambda part: {}, *others, seconds=seconds, **same)


def growing(
    first: int, last: int, *others: Queue, service: float = 5.0, seconds: float = 10.0, **same: Any
) -> Window[Queues]:
    """A depth that goes evenly from first to last while ``service`` jobs per second are done."""

    def change(part: float) -> dict[str, Any]:
        ready = round(first + (last - first) * part)
        done = service * seconds * part
        return {"ready": ready, "done": done, "arrived": done + ready}

    return over(change, *others, seconds=seconds, **same)


def only(found: Any) -> Finding:
    """The one finding."""
    (finding,) = found
    assert isinstance(finding, Finding)
    return finding
