"""Queues that may be there and were not seen."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity, Step, check
from scaledoctor.sources.queues import Queues


@check("queue.not-all-seen", step=Step.IDENTIFY)
def not_all_seen(queues: Queues, /) -> Iterator[Finding]:
    """Not every key was looked at: there may be queues that are not in this report.

    Why: what was not seen is not healthy.
    How measured: the look at the names ended at its budget, 50,000 keys or one second, or there
    are more than 200 queues.
    Fix: name the queues, or give them a database of their own, which the URL names.
    When to ignore: the queues that matter are all in the report.
    References: Redis, SCAN.
    """
    if queues.complete:
        return
    yield Finding(
        subject="queues",
        summary=f"{len(queues.queues)} queues were found before the look at the keys ended early",
        severity=Severity.LOW,
        evidence=(Evidence("queues found", float(len(queues.queues)), "queues"),),
        fixes=(
            Fix(
                "Name the database of the queues, or the queues",
                ("scaledoctor scan --redis redis://host:6379/1 --queue NAME",),
                "shell",
                risk="none: looking only",
                verify="this line is gone",
                undo="none needed",
            ),
        ),
        kind=Kind.BLIND_SPOT,
    )
