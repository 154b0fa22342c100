"""All samples of one fact over the scan window, and what can be computed from them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

T = TypeVar("T")


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
