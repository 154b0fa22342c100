"""What the detector says in the end: the fact that checks read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from scaledoctor.logs.nplusone.found import Found
from scaledoctor.logs.nplusone.fragment import gap_of
from scaledoctor.logs.nplusone.judging import NOWHERE, Grade, Pattern
from scaledoctor.logs.nplusone.runs import Runs
from scaledoctor.logs.nplusone.shapes import numbered
from scaledoctor.redact import Redactor
from scaledoctor.sdk import fact
from scaledoctor.sql.look_ups import Relation, look_up, main_table

NEAREST = 0.002
"""Seconds: a gap counts for that much, or for the fifth percentile of the gaps where that is
more. What the application does between two statements stays when the statements go."""

MOST = 50
"""Findings that are told: the costliest."""


@fact
@dataclass(frozen=True, slots=True)
class Repeated:
    """One statement that is repeated, over all requests that repeat it.

    ``median``, ``p95`` and ``most`` are executions per request. ``seconds`` is the server's time;
    ``waited`` the client's between executions, each no longer than the round trip. ``saved`` is
    what one statement instead would save, at most. ``gap`` is the median gap. ``grade`` is 1 to 3,
    low to high; ``sure`` says that the statements are known to be of one client. ``first`` and
    ``last`` are seconds since 1970.
    """

    pattern: Pattern
    child: str
    parent: str
    route: str
    requests: int
    calls: int
    median: int
    p95: int
    most: int
    seconds: float
    waited: float
    gap: float
    saved: float
    grade: int
    sure: bool
    constant: bool
    relation: Relation
    table: str
    column: str
    parent_table: str
    batched: str
    first: float
    last: float
    examples: tuple[str, ...] = ()
    line: str = ""

    @property
    def held(self) -> float:
        """Seconds of a connection: execution and round trips."""
        return self.seconds + self.waited


@fact
@dataclass(frozen=True, slots=True)
class RepeatedQueries:
    """Repeated statements of a SQL log, the costliest first.

    ``live`` says that the log's span of ``seconds`` ends now. ``statements`` are all reads and
    writes in it, ``busy`` the server's seconds for them, 0 where the log has no times; ``pooled``
    says that a pooler's own statements are among them. ``own`` is that of SqlLog.
    """

    live: bool
    seconds: float
    statements: int
    busy: float
    pooled: bool
    found: tuple[Repeated, ...]
    own: str = ""


def repeated(runs: Runs, redactor: Redactor, *, live: bool) -> RepeatedQueries:
    """Judge what is open and give all that was found; ``runs`` is used up."""
    runs.finish()
    found = [_repeated(one, runs, redactor) for one in runs.found.values()]
    if _whole_seconds(runs):
        found = [replace(one, grade=min(one.grade, 1 + one.sure)) for one in found]
    found.sort(key=lambda r: (-r.held, -r.calls, r.child, r.parent, r.route))
    return RepeatedQueries(
        live=live,
        seconds=runs.latest - runs.began if runs.began is not None else 0.0,
        statements=runs.calls,
        busy=runs.micros / 1e6,
        pooled=runs.pooled > 0,
        found=tuple(found[:MOST]),
    )


def _whole_seconds(runs: Runs) -> bool:
    """Whether the log's times have no fractions, so that gaps say nothing (a prefix with %t)."""
    began, latest = runs.began or 0.0, runs.latest
    return latest > began and began == int(began) and latest == int(latest)


def _repeated(one: Found, runs: Runs, redactor: Redactor) -> Repeated:
    child, parent = numbered(one.child), numbered(one.parent)
    asked = look_up(child, 0 if one.varies >= NOWHERE else one.varies + 1)
    median, cap = _gap(one.gaps, 0.5), max(NEAREST, _gap(one.gaps, 0.05))
    seconds = one.micros / 1e6
    trips = one.calls - one.requests
    waited = _waited(one, cap)
    saved = trips * min(median, cap) + seconds * trips / one.calls
    examples = [value for _, values in one.examples for value in values][:3]
    return Repeated(
        pattern=one.pattern,
        child=redactor.text(child),
        parent=redactor.text(parent),
        route=redactor.text(one.tag.decode(errors="replace")),
        requests=one.requests,
        calls=one.calls,
        median=_spread(one.spread, 0.5),
        p95=_spread(one.spread, 0.95),
        most=max(one.spread),
        seconds=seconds,
        waited=waited,
        gap=median,
        saved=min(saved, seconds + waited),  # where clocks are coarse the gaps' sum is less
        grade=_grade(one, runs.orphaned),
        sure=2 * one.sure >= one.requests,
        constant=2 * one.constant >= one.requests,
        relation=asked.relation,
        table=asked.table,
        column=asked.column,
        parent_table=main_table(parent),
        batched=asked.batched if one.pattern is Pattern.N_PLUS_ONE else "",
        first=one.first,
        last=one.last,
        examples=tuple(map(redactor.text, examples)),
        line=one.line[1].decode(errors="replace") if one.line else "",
    )


def _grade(one: Found, orphaned: Mapping[bytes, int]) -> int:
    """What at least half of the requests show; low where more look-ups have no parent at all."""
    if 2 * one.exact < one.requests and orphaned.get(one.child, 0) > one.calls:
        return Grade.LOW
    counted = 0
    for grade in sorted(one.grades, reverse=True):
        counted += one.grades[grade]
        if 2 * counted >= one.requests:
            return grade
    return Grade.LOW


def _spread(counts: Mapping[int, int], share: float) -> int:
    """The value that ``share`` of all stay at or below (nearest rank)."""
    left = share * sum(counts.values())
    for value, count in sorted(counts.items()):
        left -= count
        if left <= 0:
            return value
    return 0


def _gap(gaps: Mapping[int, int], share: float) -> float:
    return gap_of(_spread(gaps, share)) if gaps else 0.0


def _waited(one: Found, cap: float) -> float:
    """Seconds of all gaps, each no longer than ``cap``; their exact sum where it is less."""
    capped = sum(min(cap, gap_of(bucket)) * n for bucket, n in one.gaps.items())
    return min(capped, max(0.0, one.waited / 1e6))
