"""All samples of one fact over the scan window, and what can be computed from them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

T = TypeVar("T")

POINTS = 60
"""Values of a history at most: a line of a few centimetres shows no more."""

FEWEST = 4
"""Samples below which a line tells less than its mean."""


@dataclass(frozen=True, slots=True)
class Window(Generic[T]):
    """``samples`` are (seconds since the scan began, fact), in time order, at least one."""

    samples: tuple[tuple[float, T], ...]

    @classmethod
    def of(cls, *facts: T, every: float = 0.5) -> "Window[T]":
        """Facts taken ``every`` seconds apart, for tests and for one-shot scans."""
        return cls(tuple((i * every, fact) for i, fact in enumerate(facts)))

    def __iter__(self) -> Iterator[T]:
        return (fact for _, fact in self.samples)

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def first(self) -> T:
        """The earliest sample."""
        return self.samples[0][1]

    @property
    def last(self) -> T:
        """The latest sample."""
        return self.samples[-1][1]

    @property
    def seconds(self) -> float:
        """Seconds between the first and the last sample; 0 for one sample."""
        return self.samples[-1][0] - self.samples[0][0]

    def delta(self, counter: Callable[[T], float]) -> float | None:
        """Growth of a counter over the window.

        None with fewer than two samples (no rates), or when the counter went backwards, which
        means that it was reset.
        """
        if len(self.samples) < 2:
            return None
        if any(counter(b) < counter(a) for a, b in pairwise(self)):
            return None
        return counter(self.last) - counter(self.first)

    def rate(self, counter: Callable[[T], float]) -> float | None:
        """Growth of a counter per second; None as for :meth:`delta`."""
        grown = self.delta(counter)
        return None if grown is None or self.seconds <= 0 else grown / self.seconds

    def mean(self, value: Callable[[T], float]) -> float:
        """Mean of a gauge over the samples."""
        return sum(map(value, self)) / len(self.samples)

    def peak(self, value: Callable[[T], float]) -> float:
        """Highest value of a gauge over the samples."""
        return max(map(value, self))

    def history(self, value: Callable[[T], float]) -> tuple[float, ...]:
        """A gauge over the window: at most ``POINTS`` evenly spaced means.

        Each is of what was sampled around it; where nothing was, the one before stands. Empty
        with fewer than ``FEWEST`` samples.
        """
        return _evenly([(at, value(fact)) for at, fact in self.samples])

    def rate_history(self, counter: Callable[[T], float]) -> tuple[float, ...]:
        """A counter's growth per second over the window, as :meth:`history` gives a gauge."""
        if self.delta(counter) is None:
            return ()
        steps = [(a, b) for a, b in pairwise(self.samples) if b[0] > a[0]]
        return _evenly([(b[0], (counter(b[1]) - counter(a[1])) / (b[0] - a[0])) for a, b in steps])


def _evenly(taken: Sequence[tuple[float, float]]) -> tuple[float, ...]:
    """Values at (seconds, value) as evenly spaced means of four digits."""
    if len(taken) < FEWEST or taken[-1][0] <= taken[0][0]:
        return ()
    points = min(POINTS, len(taken))
    step = (taken[-1][0] - taken[0][0]) / (points - 1)
    near: list[list[float]] = [[] for _ in range(points)]
    for at, value in taken:
        near[round((at - taken[0][0]) / step)].append(value)
    found: list[float] = []
    for values in near:
        found.append(float(f"{sum(values) / len(values):.4g}") if values else found[-1])
    return tuple(found)
