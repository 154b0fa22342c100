"""Queues that may be there and were not seen."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity, Step, Window, check
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
        summary=f"{_found(len(queues.queues))} found before {what}",
        severity=Severity.LOW,
        evidence=(Evidence("queues found", float(len(queues.queues)), "queues"),),
        fixes=(_keys() if keys else _tables(),),
        kind=Kind.BLIND_SPOT,
    )


@check("queue.name-unknown", step=Step.IDENTIFY)
def name_unknown(window: Window[Queues], /) -> Iterator[Finding]:
    """A key that was named as a queue is not there, or is no queue.

    Why: a mistyped name looks like a queue that is always empty.
    How measured: TYPE of each key that ``--queue`` names, in every database that is looked at; no
    queue at any reading of the window. Redis keeps no empty list, so that a key that is not there
    may be a queue without jobs: that is told as information alone.
    Fix: the name and the database as the workers have them.
    When to ignore: the queue is empty now.
    References: Redis, TYPE; Redis data types, "Automatic creation and removal of keys".
    """
    always = [{one.name for one in sample.misnamed} for sample in window]
    for one in window.last.misnamed:
        if not all(one.name in names for names in always):
            continue
        absent = one.reason.startswith("there is no such key")
        yield Finding(
            subject=one.name,
            summary=f"--queue {one.name}: {one.reason}",
            severity=Severity.INFO if absent else Severity.LOW,
            evidence=(Evidence("why", one.reason, source="TYPE"),),
            fixes=(
                Fix(
                    f"See what {one.name} is",
                    (one.enable, "redis-cli INFO keyspace  # the databases that have keys"),
                    "shell",
                    risk="none: looking only",
                    verify="scaledoctor scan again: this line is gone",
                    undo="none needed",
                ),
            ),
            kind=Kind.BLIND_SPOT,
        )


def _found(count: int) -> str:
    return "no queue was" if not count else "1 queue was" if count == 1 else f"{count} queues were"


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
