"""Mergeable histograms of times: percentiles to within 5 %, whatever the number of requests."""

from collections import Counter
from math import ceil, exp, log

STEP = log(1.1)
"""Each bucket is 10 % wider than the one before."""

LAST = 159
"""The bucket of an hour and more: 1.1 ** 159 ms."""

Histogram = Counter[int]
"""How many times fell into each bucket; two are merged by ``update``."""


def bucket(seconds: float) -> int:
    """The bucket of a time: 0 holds what takes less than 0.1 ms."""
    return min(LAST, int(log(max(seconds, 0.0) * 1000 + 1) / STEP))


def percentile(histogram: Histogram, share: float) -> float:
    """Seconds that ``share`` of the times stay below (nearest rank); 0 of an empty histogram."""
    rank = max(1, ceil(share * histogram.total()))
    for number, count in sorted(histogram.items()):
        rank -= count
        if rank <= 0:
            return (exp((number + 0.5) * STEP) - 1) / 1000 if number else 0.0
    return 0.0
