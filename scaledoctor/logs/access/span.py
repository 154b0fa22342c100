"""Which part of a log is read: what was appended since a mark, and a bounded tail before it."""

from collections import deque
from contextlib import closing
from dataclasses import dataclass, field
from time import monotonic

from scaledoctor.errors import Unavailable
from scaledoctor.logs.access.layout import Layout
from scaledoctor.logs.access.tally import Tally
from scaledoctor.logs.packing import Damaged, Packing, unpacked
from scaledoctor.logs.readers import BLOCK, Log, backwards, find_time, gathered, lines, open_log

ENOUGH = 2000
"""Requests that need no older ones beside them: a 99th percentile of them rests on 20."""

HEAVY, OF_A_ROUTE = 0.1, 20
"""Share of the time from which a route may be a finding, and requests of it that need no older
ones: a 95th percentile rests on one."""

TAIL = 600.0
"""Seconds before the mark, or before the end of a saved log, beyond which nothing is of now."""

SMALL = 4 << 20
"""Bytes of a saved log that is read as a whole, whatever time it covers."""

MOST_BYTES = 64 << 20
"""Bytes that are parsed at most: about a second of CPU."""

SECONDS = 2.5
"""After which reading ends with what it has; the newest lines are read first."""

NEWEST = "only its newest part was read: it is too large for the time of a scan"
"""The note of a log of which less was read than would tell of now."""

_STEP = 1 << 18
_EDGE = 1 << 16


@dataclass(slots=True)
class Budget:
    """What reading may still take."""

    bytes: int = MOST_BYTES
    until: float = field(default_factory=lambda: monotonic() + SECONDS)

    @property
    def spent(self) -> bool:
        """Whether it is used up."""
        return self.bytes <= 0 or monotonic() > self.until


@dataclass(slots=True)
class Span:
    """What was read; ``live`` if some of it was appended since the mark.

    ``note`` says what is missing from it, when something is.
    """

    tally: Tally
    live: bool = False
    note: str = ""


def recent(log: Log, layout: Layout, mark: int) -> Span:
    """Read what a log has since the mark, an offset, and before it as far as that tells of now."""
    if log.packing is not Packing.PLAIN:
        return _packed(log, layout)
    span, budget = Span(Tally(layout)), Budget()
    mark = _appended(log, mark, span, budget)
    before = _newest(log, layout, mark) if span.tally.first is None else span.tally.first
    start = 0 if before is None else find_time(log.file, before - TAIL, layout.stamp, 0, mark)
    if not span.live and mark <= SMALL:
        start = 0
    elif before is None:
        start = max(0, mark - SMALL)
    _add(log, (start, mark), span, budget, enough=span.live)
    span.tally.condense()
    return span


def _appended(log: Log, mark: int, span: Span, budget: Budget) -> int:
    """Read what came after the mark, also across a rotation; return where the tail ends."""
    size = log.size
    if log.moved:
        with closing(open_log(log.path).file) as file:
            fresh = Log(log.path, file, Packing.PLAIN)
            end = fresh.size
            span.live = end > 0
            _add(fresh, (0, end), span, budget)
    if size < mark:  # copied and truncated: all that is left is new
        mark = 0
    span.live = span.live or size > mark
    _add(log, (mark, size), span, budget)
    return mark


def _add(
    log: Log, part: tuple[int, int], span: Span, budget: Budget, *, enough: bool = False
) -> None:
    """Tally a part from its end backwards, until there is enough or the budget is spent."""
    for block in backwards(log.file, *part, _STEP):
        told = enough and span.tally.understood >= ENOUGH
        if told and (budget.spent or span.tally.fewest(HEAVY) >= OF_A_ROUTE):
            return
        if budget.spent:
            span.note = NEWEST
            return
        budget.bytes -= len(block)
        span.tally.add(block)


def _newest(log: Log, layout: Layout, end: int) -> float | None:
    """The time of the last line before an offset that has one."""
    text = lines(log.file, max(0, end - _EDGE), end)
    seen = (layout.stamp(line) for line in reversed(text.splitlines()))
    return next((s for s in seen if s is not None), None)


def _packed(log: Log, layout: Layout) -> Span:
    """Unpack all of it, keep the end, and read that from its end backwards."""
    span, budget = Span(Tally(layout)), Budget()
    halfway = monotonic() + SECONDS / 2
    kept: deque[bytes] = deque(maxlen=MOST_BYTES // BLOCK // 2)
    count = 0
    try:
        for block in gathered(unpacked(log.file, log.packing)):
            kept.append(block)
            count += 1
            if monotonic() > halfway:
                span.note = "the file is too large to unpack to its end in the time of a scan"
                break
    except Damaged:
        span.note = "the file is damaged or cut: read up to there"
        if not kept:
            raise Unavailable(f"the {log.packing} file is damaged", "copy it again") from None
    small = sum(map(len, kept)) <= SMALL
    read = 0
    while kept and not budget.spent and (small or not _reaches_back(span.tally)):
        span.tally.add(kept.pop())
        read += 1
    if read < count and not _reaches_back(span.tally):
        span.note = span.note or NEWEST
    span.tally.condense()
    return span


def _reaches_back(tally: Tally) -> bool:
    return tally.first is not None and tally.last is not None and tally.first < tally.last - TAIL
