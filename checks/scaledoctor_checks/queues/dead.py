"""Jobs that failed for good."""

from collections.abc import Iterator

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Kind,
    Severity,
    Step,
    Window,
    check,
)
from scaledoctor.sources.queues import Queue, Queues
from scaledoctor_checks.postgres._words import duration
from scaledoctor_checks.queues._flow import Flow, flows
from scaledoctor_checks.queues._words import failed, jobs

SOURCE = "the queue's failed and dead jobs"


@check("queue.dead", step=Step.TIGHTEN)
def dead(
    window: Window[Queues], /, *, several: int = 5, share: float = 0.1, many: int = 100
) -> Iterator[Finding]:
    """Jobs fail for good, or failed ones pile up.

    Why: each is work that somebody asked for and nobody does; no queue length shows it.
    How measured: growth of the failed or dead jobs in the window. High from ``several`` of them
    when they are ``share`` of the jobs done, or when those are not counted; low below. Without
    growth, ``many`` old ones are a risk: they take memory and hide new ones.
    Fix: read the error of the newest ones, mend it, put them back.
    When to ignore: failures that are recorded on purpose.
    References: awesome-prometheus-alerts, dead letter queues; RQ, FailedJobRegistry.
    """
    for flow in flows(window):
        queue, before = flow.queue, flow.readings[0].dead
        if queue.dead is None or before is None:
            continue
        grown = queue.dead - before
        if grown > 0:
            yield _growing(flow, grown, several, share)
        elif queue.dead >= many:
            yield _old(queue, queue.dead, many)


def _growing(flow: Flow, grown: int, several: int, share: float) -> Finding:
    queue = flow.queue
    done = flow.service * flow.seconds if flow.service is not None else None
    if done is not None and done < grown:
        done = None  # what is counted is less than what was done
    part = grown / done if done else None
    bad = grown >= several and (part is None or part >= share)
    of = f", {part:.0%} of those done" if part is not None else ""
    return Finding(
        subject=queue.label,
        summary=f"{jobs(grown)} of {queue.label} failed for good in {duration(flow.seconds)}{of}",
        severity=Severity.HIGH if bad else Severity.LOW,
        confidence=Confidence.HIGH if part is not None else Confidence.MEDIUM,
        evidence=(
            Evidence("failed in the window", float(grown), "jobs", float(several), SOURCE),
            Evidence("failed in all", float(queue.dead or 0), "jobs", source=SOURCE),
            Evidence("share of the jobs done", part if part is not None else "not known",
                     "share", share, SOURCE),
        ),
        fixes=(_fix(queue),),
        impact=part if part is not None else share,
    )  # fmt: skip


def _old(queue: Queue, count: int, many: int) -> Finding:
    return Finding(
        subject=queue.label,
        summary=f"{jobs(count)} of {queue.label} failed for good and lie there",
        severity=Severity.LOW,
        evidence=(Evidence("failed in all", float(count), "jobs", float(many), SOURCE),),
        fixes=(_fix(queue),),
        kind=Kind.RISK,
    )


def _fix(queue: Queue) -> Fix:
    return Fix(
        f"Read the newest failures of {queue.label}, mend the cause, then put them back",
        failed(queue),
        "shell",
        risk="jobs that are put back run once more: they must bear that",
        verify="scaledoctor scan again: no growth",
        undo="none: what has run has run",
    )
