"""Queues that may be there and were not seen."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity, Step, check
from scaledoctor.sources.queues import Queues

SCANNED = frozenset({
    "arq", "bullmq", "celery", "dramatiq", "huey", "list", "rq", "set", "sidekiq", "stream", "zset",
})  # fmt: skip
"""Systems whose queues are found by the names of Redis's keys."""


@check("queue.not-all-seen", step=Step.IDENTIFY)
def not_all_seen(queues: Queues, /) -> Iterator[Finding]:
    """Not everything was looked at: there may be queues that are not in this report.

    Why: what was not seen is not healthy.
    How measured: the look at the names of Redis's keys ended at its budget, 50,000 keys or one
    second, or there are more queues or tables of jobs than are read, 200 on Redis.
    Fix: name the queues, or give them a database of their own, which the URL names.
    When to ignore: the queues that matter are all in the report.
    References: Redis, SCAN.
    """
    if queues.complete:
        return
    keys = not queues.queues or any(q.system in SCANNED for q in queues.queues)
    what = "the look at the keys ended early" if keys else "it was enough: there are more"
    yield Finding(
        subject="queues",
        summary=f"{len(queues.queues)} queues were found before {what}",
        severity=Severity.LOW,
        evidence=(Evidence("queues found", float(len(queues.queues)), "queues"),),
        fixes=(_keys() if keys else _tables(),),
        kind=Kind.BLIND_SPOT,
    )


def _keys() -> Fix:
    return Fix(
        "Name the database of the queues, or the queues",
        ("scaledoctor scan --redis redis://host:6379/1 --queue NAME",),
        "shell",
        risk="none: looking only",
        verify="this line is gone",
        undo="none needed",
    )


def _tables() -> Fix:
    return Fix(
        "Scan with a role or a database that has the queues that matter alone",
        ("scaledoctor scan --dsn postgresql://host/DATABASE",),
        "shell",
        risk="none: looking only",
        verify="this line is gone",
        undo="none needed",
    )
