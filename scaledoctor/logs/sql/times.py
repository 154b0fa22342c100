"""Mergeable histograms of microseconds: percentiles to within 5 %, down to a microsecond."""

from collections import Counter
from math import ceil, exp, log

STEP = log(1.1)
"""Each bucket is 10 % wider than the one before."""

Histogram = Counter[int]
"""How many times fell into each bucket; two are merged by ``update``."""


def bucket(micros: int) -> int:
    """The bucket of a time: below 10 us each microsecond has its own."""
    return int(log(max(micros, 0) + 1) / STEP)


def percentile(histogram: Histogram, share: float) -> float:
    """Seconds that ``share`` of the times stay below (nearest rank); 0 of an empty histogram."""
    rank = max(1, ceil(share * histogram.total()))
    for number, count in sorted(histogram.items()):
        rank -= count
        if rank <= 0:
            return (exp((number + 0.5) * STEP) - 1) / 1e6 if number else 0.0
    return 0.0
