"""CPU use over the window, as several checks need it."""

from collections.abc import Callable
from dataclasses import dataclass

from scaledoctor.sdk import Window
from scaledoctor.sources.host import CpuTimes, HostInfo, Pressure
from scaledoctor.sources.postgres import Activity

QUEUE = 2.0
"""Runnable tasks per core that are a queue by themselves: each runs half of the time."""

QUEUE_STALLED, STALLED = 1.5, 0.6
"""Runnable tasks per core and share of time with a task stalled (PSI) that together are a queue.

Measured on 2 cores: 2 busy loops 1.0 and 0.01, 3 loops 1.5 and 0.50, 4 loops 2.0 and 1.00.
"""


@dataclass(frozen=True, slots=True)
class Busy:
    """Mean busy and stolen cores, and the mean number of runnable tasks.

    ``pressure`` is the share of the window in which a task waited for a core, None without PSI.
    """

    cores: float
    steal: float
    running: float
    pressure: float | None

    def contended(self, usable: int) -> bool:
        """Whether tasks queue for the CPU; busy cores alone are well-used cores."""
        if self.running >= QUEUE * usable:
            return True
        return (self.pressure or 0.0) >= STALLED and self.running > QUEUE_STALLED * usable

    def full(self, usable: int, share: float) -> bool:
        """Whether ``share`` of the cores are busy and tasks queue for them."""
        return self.cores >= share * usable and self.contended(usable)


def busy(window: Window[CpuTimes]) -> Busy | None:
    """CPU use between the first and the last sample; None without rates."""
    cores = window.rate(lambda c: c.busy)
    if cores is None:
        return None
    return Busy(
        cores=cores,
        steal=window.rate(lambda c: c.steal) or 0.0,
        running=window.mean(lambda c: c.running),
        pressure=stalled(window, lambda c: c.cpu_pressure),
    )


def stalled(
    window: Window[CpuTimes] | None,
    which: Callable[[CpuTimes], Pressure | None],
    *,
    all_tasks: bool = False,
) -> float | None:
    """Share of the window in which some (or all) tasks waited for a resource; None without PSI."""
    if window is None or window.seconds <= 0:
        return None
    first, last = which(window.first), which(window.last)
    if first is None or last is None:
        return None
    grown = last.full - first.full if all_tasks else last.some - first.some
    return max(0.0, min(1.0, grown / window.seconds))


def tells(info: HostInfo | None, *, local: bool) -> bool:
    """Whether these facts are of a target's machine: it runs here, or they were chosen for it.

    Facts of another machine are only handed to targets that run on it.
    """
    return info is not None and (local or bool(info.machine))


def computing_cores(used: Busy, activity: Window[Activity]) -> float:
    """Cores that a database's sessions take, where its processes are not seen.

    A task has a core for as long as all others have one, and never more than one.
    """
    computing = activity.mean(lambda a: sum(s.active and not s.wait_type for s in a.sessions))
    part = computing / max(used.running, computing, 1.0)
    return min(computing, used.cores * part)


def capacity(info: HostInfo) -> float:
    """Usable cores."""
    return float(max(1, info.cores))
