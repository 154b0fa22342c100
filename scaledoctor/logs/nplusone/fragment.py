"""A stretch of one unit's statements as sums that two neighbours can join exactly.

Times are whole microseconds: sums of floats would depend on where the stream was cut.
"""

from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from zlib import crc32

from scaledoctor.logs.nplusone.shapes import shape
from scaledoctor.logs.nplusone.values import Sample, sample, shown
from scaledoctor.logs.sql.calls import Call

MOST_DISTINCT = 16
"""Distinct values of one statement in one unit that are told apart."""

MOST_SAMPLES = 3
"""Distinct executions of a unit that the values rule compares: each costs 10 us."""

MOST_EXAMPLES = 3

_TEMPLATE = itemgetter(Call._fields.index("template"))

NEAR = 0.25
"""Seconds from the end of a parent to its first child, at most (labelled logs of several ORMs)."""

FINE, COARSE = 100, 1000
"""Microseconds: the width of a bucket of gaps below 10 ms, and of one above."""

FINE_BUCKETS, LAST = 100, 340
"""Buckets below 10 ms, and the one of 250 ms and more: no unit but a trace has those."""


@dataclass(slots=True)
class Seen:
    """One template in a stretch; ``first`` is the start of its first call, ``last`` its last end.

    ``gaps`` are the client's gaps before its calls, by bucket; ``waited`` is their exact sum,
    below zero where clocks are coarse. ``best`` is its longest run. ``distinct`` are hashes;
    ``texts`` are executions that samples are made of only when they are needed.
    ``before`` are the templates that may be its parent: several rows, and ended shortly before.
    """

    first: float
    last: float
    before: list[bytes]
    n: int = 0
    micros: int = 0
    untimed: int = 0
    gaps: dict[int, int] = field(default_factory=dict)
    waited: int = 0
    best: int = 0
    distinct: dict[int, None] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    texts: list[tuple[bytes, bytes]] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    line: bytes = b""
    tag: bytes = b""


@dataclass(slots=True)
class Fragment:
    """Statements in a row. ``raw`` are those at its end that are not summed up yet.

    ``opened`` says that a BEGIN stands before it; ``ends`` counts the transactions in it.
    ``head`` and ``tail`` are the runs of one template at its edges.
    """

    raw: list[Call] = field(default_factory=list)
    n: int = 0
    first: float = 0.0
    last: float = 0.0
    opened: bool = False
    ends: int = 0
    head: bytes = b""
    head_run: int = 0
    tail: bytes = b""
    tail_run: int = 0
    seen: dict[bytes, Seen] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Statements in all."""
        return self.n + len(self.raw)


def _gap(seen: Seen, micros: int) -> None:
    """Count a gap before a call."""
    bucket = micros // FINE
    if not 0 <= bucket < FINE_BUCKETS:
        bucket = _far(micros)
    seen.gaps[bucket] = seen.gaps.get(bucket, 0) + 1
    seen.waited += micros


def _far(micros: int) -> int:
    """The bucket of a gap above 10 ms; what clocks make negative is in the first."""
    if micros < 0:
        return 0
    return min(LAST, FINE_BUCKETS + (micros - FINE_BUCKETS * FINE) // COARSE)


def gap_of(bucket: int) -> float:
    """Seconds in the middle of a bucket of gaps."""
    if bucket < FINE_BUCKETS:
        return (bucket + 0.5) * FINE / 1e6
    return (FINE_BUCKETS * FINE + (bucket - FINE_BUCKETS + 0.5) * COARSE) / 1e6


def sum_up(fragment: Fragment, names: list[bytes], *, show: bool) -> Fragment:
    """Bring ``raw`` into the sums; ``names`` are the templates that its calls are numbered by."""
    raw, fragment.raw = fragment.raw, []
    for number, calls in groupby(raw, _TEMPLATE):
        _run(fragment, names[number], list(calls), show=show)
    return fragment


def _run(fragment: Fragment, name: bytes, calls: list[Call], *, show: bool) -> None:
    """Add calls of one template in a row. Every call of a log comes through this loop."""
    seen = fragment.seen.get(name) or _begin(fragment, name, calls[0])
    gaps, distinct, last, begun = seen.gaps, seen.distinct, fragment.last, bool(fragment.n)
    micros = waited = untimed = 0
    for _, _, _, _, _, text, parameters, ended, seconds, tag, line in calls:
        start = ended if seconds is None else ended - seconds
        if begun:
            gap = round((start - last) * 1e6)
            waited += gap
            bucket = gap // FINE
            if not 0 <= bucket < FINE_BUCKETS:
                bucket = _far(gap)
            gaps[bucket] = gaps.get(bucket, 0) + 1
        begun, last = True, ended
        if seconds is None:
            untimed += 1
        else:
            micros += round(seconds * 1e6)
        if len(distinct) < MOST_DISTINCT:
            _note(seen, text, parameters, show=show)
        if line or tag:
            seen.line, seen.tag = seen.line or line, seen.tag or tag
    seen.n += len(calls)
    seen.micros += micros
    seen.untimed += untimed
    seen.waited += waited
    seen.last = fragment.last = last
    _extend(fragment, name, len(calls))
    seen.best = max(seen.best, fragment.tail_run)


def _begin(fragment: Fragment, name: bytes, call: Call) -> Seen:
    start = call.ended - (call.seconds or 0.0)
    if not fragment.n:
        fragment.first, fragment.head = start, name
    seen = fragment.seen[name] = Seen(start, call.ended, _parents(fragment, start))
    return seen


def _extend(fragment: Fragment, name: bytes, calls: int) -> None:
    """Go on with the last run, or begin another one."""
    same = name == fragment.tail
    fragment.tail, fragment.tail_run = name, fragment.tail_run * same + calls
    fragment.n += calls
    if fragment.tail_run == fragment.n:
        fragment.head_run = fragment.n


def _note(seen: Seen, text: bytes, parameters: bytes, *, show: bool) -> None:
    """Keep what tells this execution from others of its template."""
    key = crc32(parameters, crc32(text)) if parameters else crc32(text)
    if key not in seen.distinct:
        seen.distinct[key] = None
        if len(seen.samples) + len(seen.texts) < MOST_SAMPLES:
            seen.texts.append((text, parameters))
        if show and len(seen.examples) < MOST_EXAMPLES:
            seen.examples.append(shown(text, parameters))


def refine(seen: Seen) -> Seen:
    """Make samples of the texts that wait for it."""
    if seen.texts:
        seen.samples += [sample(text, parameters) for text, parameters in seen.texts]
        seen.texts = []
    return seen


def _parents(fragment: Fragment, start: float) -> list[bytes]:
    return [
        name
        for name, seen in fragment.seen.items()
        if start - seen.last <= NEAR and shape(name).many
    ]


def join(left: Fragment, right: Fragment) -> Fragment:
    """What the two are as one; both are summed up, and both are used up."""
    left.ends += right.ends
    if not right.n:
        return left
    if not left.n:
        right.opened, right.ends = left.opened, left.ends
        return right
    _gap(right.seen[right.head], round((right.first - left.last) * 1e6))
    _join_runs(left, right)
    known = dict(left.seen)
    for name, seen in right.seen.items():
        mine = left.seen.get(name)
        if mine is None:
            near = [n for n, s in known.items() if seen.first - s.last <= NEAR and shape(n).many]
            seen.before = list(dict.fromkeys((*near, *seen.before)))
            left.seen[name] = seen
    for name in known:
        if name in right.seen:
            _join_seen(left.seen[name], right.seen[name])
    left.n += right.n
    left.last = right.last
    return left


def _join_runs(left: Fragment, right: Fragment) -> None:
    whole_left, whole_right = left.head_run == left.n, right.head_run == right.n
    if left.tail == right.head:
        both = left.tail_run + right.head_run
        head = right.seen[right.head]
        head.best = max(head.best, both)
        if whole_left:
            left.head_run = both
        left.tail_run = both if whole_right else right.tail_run
    else:
        left.tail_run = right.tail_run
    left.tail = right.tail


def _join_seen(left: Seen, right: Seen) -> None:
    left.last = right.last
    left.n += right.n
    left.micros += right.micros
    left.untimed += right.untimed
    left.waited += right.waited
    left.best = max(left.best, right.best)
    for bucket, count in right.gaps.items():
        left.gaps[bucket] = left.gaps.get(bucket, 0) + count
    refine(left)
    refine(right)
    fresh = [key for key in right.distinct if key not in left.distinct]
    places = [place for place, key in enumerate(right.distinct) if key not in left.distinct]
    samples = [right.samples[p] for p in places if p < len(right.samples)]
    examples = [right.examples[p] for p in places if p < len(right.examples)]
    left.distinct.update(dict.fromkeys(fresh[: MOST_DISTINCT - len(left.distinct)]))
    left.samples = (left.samples + samples)[:MOST_SAMPLES]
    left.examples = (left.examples + examples)[:MOST_EXAMPLES]
    left.line = left.line or right.line
    left.tag = left.tag or right.tag
