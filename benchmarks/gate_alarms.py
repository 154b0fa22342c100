"""How often the paired gate cries wolf, and what it sees: a simulation beside simpler rules.

30 metrics with lognormal noise: 10 % from run to run, of which a pair shares none, 20 % inside a
run over 20 samples, and one run in 33 hit by a neighbour that makes it 1.5 to 3 times slower.

    ./run python -m benchmarks.gate_alarms [GATES]
"""

import random
import sys
from collections.abc import Callable
from math import exp
from statistics import fmean

from scaledoctor.gate.paired import ROUNDS, paired

METRICS, SAMPLES = 30, 20
BETWEEN, WITHIN, NEIGHBOUR = 0.10, 0.20, 0.03
SLOWDOWNS = (1.0, 1.25, 1.5, 2.0)


def run(rng: random.Random, slowdown: float) -> float:
    """One run's mean of a metric."""
    level = slowdown * exp(rng.gauss(0, BETWEEN))
    if rng.random() < NEIGHBOUR:
        level *= rng.uniform(1.5, 3.0)
    return level * fmean(exp(rng.gauss(0, WITHIN)) for _ in range(SAMPLES))


def by_pairs(rng: random.Random, slowdown: float) -> bool:
    """Our rule."""
    base = [run(rng, 1.0) for _ in range(ROUNDS)]
    head = [run(rng, slowdown) for _ in range(ROUNDS)]
    return paired("x", base, head).worse


def once(rng: random.Random, slowdown: float) -> bool:
    """One run each, +10 %."""
    return run(rng, slowdown) > 1.1 * run(rng, 1.0)


def best_of_three(rng: random.Random, slowdown: float) -> bool:
    """The best of three each, +10 %, as Lighthouse CI does."""
    base, head = (min(run(rng, s) for _ in range(3)) for s in (1.0, slowdown))
    return head > 1.1 * base


RULES: dict[str, Callable[[random.Random, float], bool]] = {
    f"paired, {ROUNDS} rounds": by_pairs,
    "one run, +10 %": once,
    "best of 3, +10 %": best_of_three,
}


def main() -> None:
    """Print the table."""
    gates = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    print(f"{gates} gates of {METRICS} metrics; power over {gates} trials")
    print(f"{'rule':18} {'false gates':>12} " + " ".join(f"x{s:<6}" for s in SLOWDOWNS[1:]))
    for name, rule in RULES.items():
        rng = random.Random(1)
        shut = sum(any(rule(rng, 1.0) for _ in range(METRICS)) for _ in range(gates))
        power = [sum(rule(rng, s) for _ in range(gates)) / gates for s in SLOWDOWNS[1:]]
        print(f"{name:18} {shut / gates:12.1%} " + " ".join(f"{p:<7.1%}" for p in power))


if __name__ == "__main__":
    main()
