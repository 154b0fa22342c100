"""Timings of two versions, measured in turns in one job: the only way to gate a timing alone.

Rounds run base, head, head, base, base, ... (ABBA), so that a slow minute hits both. A pair's log
ratio is free of what the two share. Its centre must be beyond the limit by the Hodges-Lehmann
estimate and by the median, and its lower bound, that of the sign test, above 1: one run that a
neighbour slowed moves none of them much (Hollander, Wolfe and Chicken, 3.2 and 3.5).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb, exp, log
from statistics import median

SLOWER = 1.2
"""Ratio from which a timing is worse (conventions B.4.3a, with a lower bound above 1)."""

ALPHA = 0.05
"""One-sided error of the lower bound; it is the limit that keeps the gate from crying wolf."""

ROUNDS = 10
"""With these 1.2 % of gates over 30 metrics are shut wrongly and 96 % of slowdowns by half are
seen, with 8 rounds 3.4 % and 97 % (benchmarks/gate_alarms.py)."""

MIN_ROUNDS = 5
"""Below this not even all pairs on one side reach ``ALPHA``: 2 ** -4 is 6 %."""


@dataclass(frozen=True, slots=True)
class Paired:
    """One metric in both versions: medians in its own unit, head over base, its lower bound."""

    name: str
    base: float
    head: float
    ratio: float
    at_least: float
    noise: float
    rounds: int

    @property
    def worse(self) -> bool:
        """Slower by 20 % in the centre, and surely slower at all."""
        return self.ratio >= SLOWER and self.at_least > 1.0


def paired(name: str, base: Sequence[float], head: Sequence[float], floor: float = 0.0) -> Paired:
    """Compare two series of positive numbers of the same length, pair by pair.

    A difference of the medians below ``floor`` is none. ``noise`` is half the spread of the middle
    half of the ratios.

    Raises:
        ValueError: fewer than ``MIN_ROUNDS`` pairs, or a number that is not positive.
    """
    if len(base) != len(head) or len(base) < MIN_ROUNDS:
        raise ValueError(f"{name}: {min(len(base), len(head))} pairs, {MIN_ROUNDS} are needed")
    if min(*base, *head) <= 0:
        raise ValueError(f"{name}: a time that is not above 0")
    ratios = sorted(log(h / b) for b, h in zip(base, head, strict=True))
    low, centre = ratios[left_out(len(ratios))], _centre(ratios)
    if abs(median(head) - median(base)) < floor:
        low = centre = 0.0
    quarter = len(ratios) // 4
    spread = (ratios[-1 - quarter] - ratios[quarter]) / 2
    return Paired(
        name,
        median(base),
        median(head),
        exp(centre),
        exp(low),
        exp(spread) - 1,
        len(ratios),
    )


def _centre(ratios: Sequence[float]) -> float:
    """The lower of the Hodges-Lehmann estimate and the median."""
    means = [(a + b) / 2 for a, b in combinations_with_replacement(ratios, 2)]
    return min(median(means), median(ratios))


def left_out(pairs: int) -> int:
    """How many of the smallest ratios the one-sided bound at ``ALPHA`` leaves out."""
    ways = 0
    for count in range(pairs):
        ways += comb(pairs, count)
        if ways / 2**pairs > ALPHA:
            return count - 1
    raise AssertionError("half of all orders lie above any alpha")
