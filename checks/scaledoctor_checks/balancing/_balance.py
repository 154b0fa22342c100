"""Whether requests are spread as the weights say: a test with guards, for any balancer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import erfc, exp, pi, sqrt

PER_MEMBER = 100
"""Requests per member below which chance alone looks like imbalance: with 10 each, a fair random
balancer exceeds a coefficient of variation of 0.25 in 55 % of all windows (simulated)."""

CHANCE = 0.001
"""p below which chance is no explanation; together with the other guards at most 0.2 % of fair
windows are named (simulated)."""

SLOWER, SLOWER_BY = 2.0, 0.05
"""Times the others, and seconds more than they, that make a member slow: below 50 ms more nobody
notices, and twice is beyond what differing requests make of a few hundred."""

LOADED = 1.25
"""Times its equal share of the requests from which a member is called loaded, not slow: what the
balance test is about. A member that is slow by itself gets fewer than the others, never more."""

TIMED = 20
"""Requests that must have been timed before a mean of them says anything."""

DEVIATION = 0.25
"""Share of the expected requests that the worst member is off; below it nobody notices."""


@dataclass(frozen=True, slots=True)
class Member:
    """One server of a group over the window.

    ``weight`` is relative, 0 for a server that shall get nothing; ``seconds`` is the sum of its
    request times, 0 when unknown; ``pinned`` are requests that a persistence rule placed. Where
    times come from samples of what it had in hand, ``seen`` are the requests in them; 0 where
    each request was timed.
    """

    name: str
    weight: float
    requests: float
    seconds: float = 0.0
    pinned: float = 0.0
    seen: float = 0.0

    @property
    def mean(self) -> float:
        """Seconds per request."""
        return self.seconds / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class Laggard:
    """A member that takes longer than the others: ``seconds`` per request against ``others``.

    ``excess`` are the request-seconds that it would not need at their speed.
    """

    member: Member
    seconds: float
    others: float
    excess: float


@dataclass(frozen=True, slots=True)
class Imbalance:
    """The member that is furthest from its share, by how much, and how unlikely that is.

    ``deviation`` is got over expected, less one; ``expected`` is in requests.
    """

    worst: Member
    expected: float
    deviation: float
    chi_square: float
    p: float
    requests: float


def imbalance(
    members: Sequence[Member],
    *,
    per_member: float = PER_MEMBER,
    chance: float = CHANCE,
    deviation: float = DEVIATION,
) -> Imbalance | None:
    """Test the requests against the weights by chi-square.

    None when there are too few requests to say, when chance explains the spread, or when nobody
    is off by ``deviation``. Members of weight 0 are left out.
    """
    weighted = [m for m in members if m.weight > 0]
    total = sum(m.requests for m in weighted)
    weights = sum(m.weight for m in weighted)
    if len(weighted) < 2 or total < per_member * len(weighted):
        return None
    expected = {m.name: total * m.weight / weights for m in weighted}
    if min(expected.values()) < 5:
        return None  # the approximation does not hold below five expected requests
    square = sum((m.requests - expected[m.name]) ** 2 / expected[m.name] for m in weighted)
    p = tail(square, len(weighted) - 1)
    worst = max(weighted, key=lambda m: abs(m.requests / expected[m.name] - 1))
    off = worst.requests / expected[worst.name] - 1
    if p >= chance or abs(off) < deviation:
        return None
    return Imbalance(worst, expected[worst.name], off, square, p, total)


def by_work(members: Sequence[Member], *, deviation: float = 2 * DEVIATION) -> Imbalance | None:
    """Test the work against the weights: for least connections, which evens that out.

    Work is count x time, that is requests in hand; in the result they stand for the requests.
    """
    return imbalance([replace(m, requests=m.seen) for m in members], deviation=deviation)


def laggards(
    members: Sequence[Member], *, slower: float = SLOWER, slower_by: float = SLOWER_BY
) -> list[Laggard]:
    """Name the slow members, half of them at most, the slowest first.

    Each is compared with all that are not slow, pooled. One that has more than ``LOADED`` times
    its share of the requests is not slow but loaded.
    """
    rest = sorted(members, key=_per_request)
    found: list[Laggard] = []
    while len(found) + 1 <= len(members) / 2 and len(rest) >= 2:
        worst, rest = rest[-1], rest[:-1]
        count = sum(m.requests for m in rest)
        others = sum(m.seconds for m in rest) / count if count else 0.0
        own = _per_request(worst)
        equal = (worst.requests + count) / (len(rest) + 1)
        loaded = worst.requests >= LOADED * equal > 0
        if loaded or own < slower * others or own - others < slower_by or not _sure(worst, rest):
            break
        found.append(Laggard(worst, own, others, worst.seconds - worst.requests * others))
    return found


def _per_request(member: Member) -> float:
    return member.seconds / max(1.0, member.requests)


def _sure(member: Member, others: Sequence[Member]) -> bool:
    """Whether chance is no explanation for what was in a member's hand (a binomial test)."""
    everybody = (member, *others)
    seen = sum(m.seen for m in everybody)
    if not seen:
        return member.requests >= TIMED <= sum(m.requests for m in others)
    total = sum(m.requests for m in everybody)
    weight = sum(m.weight for m in everybody)
    share = member.requests / total if total else member.weight / max(weight, 1.0)
    spread = sqrt(seen * share * (1 - share))
    off = member.seen - seen * share
    return off > 0 and (spread == 0 or erfc(off / spread / sqrt(2)) / 2 < CHANCE)


def tail(square: float, freedom: int) -> float:
    """Probability that chi-square with ``freedom`` degrees is at least ``square``.

    The closed forms for even and odd degrees (Abramowitz and Stegun, 26.4.4 and 26.4.5).
    """
    half = square / 2
    if half > 700:
        return 0.0
    if freedom % 2 == 0:
        term = total = 1.0
        for i in range(1, freedom // 2):
            term *= half / i
            total += term
        return min(1.0, exp(-half) * total)
    term, total = sqrt(square), 0.0
    for i in range(1, freedom, 2):
        total += term
        term *= square / (i + 2)
    return min(1.0, erfc(sqrt(half)) + sqrt(2 / pi) * exp(-half) * total)
