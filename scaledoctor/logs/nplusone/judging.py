"""What a finished unit shows: N+1, duplicates, row-by-row writes, transaction loops."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from scaledoctor.logs.nplusone.fragment import MOST_DISTINCT, Fragment, Seen, gap_of, refine
from scaledoctor.logs.nplusone.shapes import Role, shape
from scaledoctor.logs.nplusone.values import varying
from scaledoctor.logs.sql.calls import Unit
from scaledoctor.sql.places import BATCH, EQUAL

FEWEST = 5
"""Executions per request from which a statement is repeated (Sentry, Scout: 5)."""

RATIO = 3
"""Children per parent: what comes as often as its parent is no child (labelled logs)."""

ALONE = 10
"""In a row and without a parent; also duplicates and writes (labelled logs of several ORMs)."""

LOOP = 20
"""Short transactions in one request (labelled logs of several ORMs)."""

RUN = 3
"""Executions in a row from which equal ones are duplicates, not a poll beside other work."""


NOWHERE = 1 << 10
"""The number of the value that varies where none is known."""


class Pattern(StrEnum):
    """What is repeated."""

    N_PLUS_ONE = "n+1"
    DUPLICATE = "duplicate"
    WRITES = "row-by-row write"
    TRANSACTIONS = "transaction loop"


class Grade(IntEnum):
    """How sure the gaps within a run make us: the client's pause from one to the next."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


HIGH_GAP = 0.010
MEDIUM_GAP = 0.050
WIDEST_GAP = 0.120
"""Median seconds between two executions: a slow template renders a row in 61 ms; above 120 ms
it is no loop."""


@dataclass(slots=True)
class Hit:
    """One repeated statement in one unit, which holds ``requests`` requests.

    ``exact`` says that the unit is one request, ``sure`` that or one client's connection.
    ``varies`` is the number of the value that differs from one execution to the next.
    """

    pattern: Pattern
    child: bytes
    parent: bytes
    seen: Seen
    requests: int
    grade: Grade
    sure: bool
    exact: bool
    constant: bool = False
    varies: int = NOWHERE


@dataclass(frozen=True, slots=True)
class Repeat:
    """A statement of a unit that comes often enough, with what it is judged by."""

    name: bytes
    seen: Seen
    unit: Unit
    exact: bool
    fragment: Fragment

    @property
    def one_request(self) -> bool:
        """Whether the unit is known to be one request."""
        return self.exact or self.unit is Unit.TRACE

    @property
    def sure(self) -> bool:
        """Whether the unit belongs to one client for certain."""
        return self.one_request or self.unit is Unit.CLIENT


def hits(fragment: Fragment, unit: Unit, *, exact: bool) -> Iterator[Hit]:
    """Yield what a unit repeats; ``exact`` says that it is one transaction."""
    for name, seen in fragment.seen.items():
        if seen.n < FEWEST:
            continue
        one = Repeat(name, refine(seen), unit, exact, fragment)
        hit = _write(one) if shape(name).role is Role.WRITE else _read(one)
        if hit is not None:
            yield hit


def orphans(fragment: Fragment, unit: Unit, *, exact: bool) -> Iterator[tuple[bytes, int]]:
    """Yield reads that come often in a unit that is no one request, and have no parent there.

    They are other requests' look-ups on the same connection, and speak against a parent that
    is found elsewhere.
    """
    if exact or unit is Unit.TRACE:
        return
    for name, seen in fragment.seen.items():
        if seen.n >= FEWEST and shape(name).role is Role.READ:
            above = parent(name, fragment)
            if not above or interrupted(name, above, fragment):
                yield name, seen.n


def median_gap(seen: Seen) -> float:
    """Median of the gaps before a statement's calls, in seconds."""
    left = (sum(seen.gaps.values()) + 1) // 2
    for bucket, count in sorted(seen.gaps.items()):
        left -= count
        if left <= 0:
            return gap_of(bucket)
    return 0.0


def parent(name: bytes, fragment: Fragment) -> bytes:
    """The latest read before it that gives several rows and comes a third as often, or less."""
    child = fragment.seen[name]
    near = set(child.before)
    found = b""
    for other, seen in fragment.seen.items():
        if other == name:
            break
        if other in near and seen.n * RATIO <= child.n:
            found = other
    return found


def interrupted(name: bytes, above: bytes, fragment: Fragment) -> bool:
    """Whether a look-up alternates with one that comes with every request, such as the session's.

    That one began before the list and comes about as often as the look-up, but for no row of any
    list: each look-up is another request's, and the list just one of them. Told from two lists on:
    the owner of each row may be looked up like the user who asks.
    """
    child, listed = fragment.seen[name], fragment.seen[above]
    if child.best >= FEWEST or listed.n < 2:
        return False
    for other, seen in fragment.seen.items():
        if other == above:
            return False
        often = 2 * seen.n >= child.n and seen.n > 2 * listed.n
        if often and seen.last > child.first and not parent(other, fragment):
            return True
    return False


def _requests(one: Repeat, above: bytes) -> int:
    """How many requests the unit holds: as many as there are of the parents' first."""
    if one.one_request or not above:
        return 1
    while higher := parent(above, one.fragment):
        above = higher
    return one.fragment.seen[above].n


def _read(one: Repeat) -> Hit | None:
    seen, gap = one.seen, median_gap(one.seen)
    above = parent(one.name, one.fragment)
    if above and not one.one_request and interrupted(one.name, above, one.fragment):
        return None
    requests = _requests(one, above)
    varied = varying(seen.samples)
    if varied is None or gap > WIDEST_GAP or seen.n < FEWEST * requests:
        return None
    if any(BATCH in s.places for s in seen.samples):
        return None
    known = all(s.known for s in seen.samples)
    if len(seen.distinct) == 1 and known:
        return _constant(one, above, requests, gap)
    if not varied and not known:  # any of those that the log does not tell
        varied = list(range(len(seen.samples[0].places)))
    places = {s.places[i] for s in seen.samples for i in varied}
    if places != {EQUAL}:
        return None
    grade = _grade(gap)
    if not known:
        grade = Grade(max(Grade.LOW, grade - 1))
    if above:
        return _hit(one, Pattern.N_PLUS_ONE, above, requests, grade, varies=varied[0])
    if one.one_request and known and _alone(one, gap):
        return _hit(one, Pattern.N_PLUS_ONE, b"", 1, Grade.MEDIUM, varies=varied[0])
    return None


def _alone(one: Repeat, gap: float) -> bool:
    """In a row, nearly all different, one table: a loop over keys that came from elsewhere."""
    seen = one.seen
    different = len(seen.distinct) >= min(seen.n / 2, MOST_DISTINCT)
    return seen.best >= ALONE and different and gap < 2 * HIGH_GAP and shape(one.name).plain


def _constant(one: Repeat, above: bytes, requests: int, gap: float) -> Hit | None:
    """The same value each time: a key that does not change, or the same question again."""
    if not any(s.places for s in one.seen.samples):
        return None
    if above and EQUAL in one.seen.samples[0].places:
        grade = min(_grade(gap), Grade.MEDIUM)
        return _hit(one, Pattern.N_PLUS_ONE, above, requests, grade, constant=True)
    if one.one_request and one.seen.n >= ALONE and one.seen.best >= RUN and gap < 2 * HIGH_GAP:
        return _hit(one, Pattern.DUPLICATE, b"", 1, _grade(gap), constant=True)
    return None


def _write(one: Repeat) -> Hit | None:
    seen, gap = one.seen, median_gap(one.seen)
    if not one.one_request or seen.n < ALONE or gap > WIDEST_GAP:
        return None  # one write per request on a busy connection looks the same
    if any(BATCH in s.places for s in seen.samples):
        return None
    looped = one.fragment.ends >= LOOP and seen.n >= LOOP
    pattern = Pattern.TRANSACTIONS if looped else Pattern.WRITES
    return _hit(one, pattern, b"", 1, _grade(gap))


def _grade(gap: float) -> Grade:
    if gap < HIGH_GAP:
        return Grade.HIGH
    return Grade.MEDIUM if gap < MEDIUM_GAP else Grade.LOW


def _hit(
    one: Repeat,
    pattern: Pattern,
    above: bytes,
    requests: int,
    grade: Grade,
    *,
    constant: bool = False,
    varies: int = NOWHERE,
) -> Hit:
    if one.unit is Unit.WINDOW:
        grade = Grade.LOW
    return Hit(
        pattern,
        one.name,
        above,
        one.seen,
        requests,
        grade,
        one.sure,
        one.one_request,
        constant,
        varies,
    )
