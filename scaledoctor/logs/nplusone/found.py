"""What all requests together show, by statement, parent and route: sums that can be merged."""

from dataclasses import dataclass, field

from scaledoctor.logs.nplusone.fragment import MOST_EXAMPLES
from scaledoctor.logs.nplusone.judging import NOWHERE, Hit, Pattern

EXACT_TO = 200
"""Executions per request that are counted one by one; above, to within 1 %."""


@dataclass(slots=True)
class Found:
    """One repeated statement over all requests.

    ``spread`` is executions per request -> requests, ``gaps`` and ``waited`` as in `Seen`.
    ``sure`` of the ``requests`` are known to be one client's, ``exact`` of those one request.
    ``grades`` are requests by grade, ``constant`` those whose value was always the same.
    ``examples`` are the earliest ones.
    """

    pattern: Pattern
    child: bytes
    parent: bytes
    tag: bytes
    requests: int = 0
    calls: int = 0
    micros: int = 0
    untimed: int = 0
    waited: int = 0
    sure: int = 0
    exact: int = 0
    constant: int = 0
    varies: int = NOWHERE
    first: float = float("inf")
    last: float = float("-inf")
    spread: dict[int, int] = field(default_factory=dict)
    gaps: dict[int, int] = field(default_factory=dict)
    grades: dict[int, int] = field(default_factory=dict)
    examples: list[tuple[float, list[str]]] = field(default_factory=list)
    line: tuple[float, bytes] | None = None

    @property
    def key(self) -> tuple[str, bytes, bytes, bytes]:
        """What it is told apart by."""
        return (self.pattern, self.child, self.parent, self.tag)


def rounded(n: int) -> int:
    """A count to three digits, so that few are told apart."""
    step = 1
    while n // step >= EXACT_TO:
        step *= 10
    return n // step * step


def add(found: Found, hit: Hit) -> None:
    """Count one unit."""
    seen, requests = hit.seen, hit.requests
    found.requests += requests
    found.calls += seen.n
    found.micros += seen.micros
    found.untimed += seen.untimed
    found.waited += seen.waited
    found.sure += requests if hit.sure else 0
    found.exact += requests if hit.exact else 0
    found.constant += requests if hit.constant else 0
    found.varies = min(found.varies, hit.varies)
    found.first = min(found.first, seen.first)
    found.last = max(found.last, seen.last)
    each, more = divmod(seen.n, requests)
    _count(found.spread, rounded(each), requests - more)
    _count(found.spread, rounded(each + 1), more)
    for bucket, count in seen.gaps.items():
        _count(found.gaps, bucket, count)
    _count(found.grades, int(hit.grade), requests)
    if seen.examples:
        _examples(found, [(seen.first, seen.examples)])
    if seen.line:
        _line(found, (seen.first, seen.line))


def merge(left: Found, right: Found) -> None:
    """Add what others counted of the same; the order does not matter."""
    for name in ("requests", "calls", "micros", "untimed", "waited", "sure", "exact", "constant"):
        setattr(left, name, getattr(left, name) + getattr(right, name))
    left.varies = min(left.varies, right.varies)
    left.first = min(left.first, right.first)
    left.last = max(left.last, right.last)
    for mine, others in (
        (left.spread, right.spread),
        (left.gaps, right.gaps),
        (left.grades, right.grades),
    ):
        for key, count in others.items():
            _count(mine, key, count)
    _examples(left, right.examples)
    _line(left, right.line)


def _count(counts: dict[int, int], key: int, n: int) -> None:
    if n:
        counts[key] = counts.get(key, 0) + n


def _line(found: Found, line: tuple[float, bytes] | None) -> None:
    found.line = min((one for one in (found.line, line) if one is not None), default=None)


def _examples(found: Found, more: list[tuple[float, list[str]]]) -> None:
    found.examples = sorted((*found.examples, *more))[:MOST_EXAMPLES]
