"""What can be ruled out: what has room, and what was looked for and not found."""

from collections.abc import Iterable, Iterator, Sequence

from scaledoctor.diagnosis.graph import Graph
from scaledoctor.diagnosis.rank import MAJOR
from scaledoctor.model import Finding, Kind, State, Step, Use
from scaledoctor.report import Headroom
from scaledoctor.sdk import Check


def ruled_out(
    rows: Sequence[Headroom],
    quiet: Iterable[Check[...]],
    uses: Sequence[Use],
    findings: Sequence[Finding],
) -> tuple[str, ...]:
    """Resources with room, with their number, then checks that ran and found nothing.

    While a resource is full and nobody knows by whom, the checks of its area or of its step of
    the fix path are still open: one of them may have missed it.
    """
    graph = Graph(uses, [f for f in findings if f.kind is Kind.LIVE and f.severity >= MAJOR])
    unexplained = [u for u in uses if u.state is State.SATURATED and not graph.leads(u)]
    return (*_roomy(rows), *(_words(c) for c in quiet if not _still_open(c, unexplained)))


def _roomy(rows: Sequence[Headroom]) -> Iterator[str]:
    for r in rows:
        if r.state is State.OK and r.utilization is not None and r.limit is not None:
            yield f"{r.resource} {r.utilization:.0%} of {r.limit:,.4g} {r.unit}"


def _still_open(check: Check[...], unexplained: Sequence[Use]) -> bool:
    # A check of the first step looks for blind spots: its silence rules no cause out.
    if check.step is Step.IDENTIFY:
        return True
    area = check.id.partition(".")[0]
    return any(
        check.step is u.step or area == u.resource.partition(".")[0] or u.resource in check.about
        for u in unexplained
    )


def _words(check: Check[...]) -> str:
    return f"{check.title} ({check.id})"
