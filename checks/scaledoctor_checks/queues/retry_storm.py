"""More jobs wait for another try than for their first."""

from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Severity, Step, Window, check
from scaledoctor.sources.queues import ALL, Queues
from scaledoctor_checks.queues._flow import flows
from scaledoctor_checks.queues._words import SOURCE, failed, jobs


@check("queue.retry-storm", step=Step.TIGHTEN)
def retry_storm(window: Window[Queues], /, *, least: int = 20) -> Iterator[Finding]:
    """Jobs that failed and wait for another try outnumber the new ones.

    Why: workers do the same failing work again and again, and new jobs wait for it.
    How measured: jobs waiting for a retry, at least ``least``, more than jobs waiting for their
    first try, and not fewer at the end of the window than at its beginning.
    Fix: mend what they fail of; fewer tries, and a pause that doubles with each.
    When to ignore: another system is down and the retries are meant to wait for it.
    References: Sidekiq wiki, Error Handling; "Exponential Backoff And Jitter", AWS.
    """
    every = sum(q.ready for q in window.last.queues)
    for flow in flows(window):
        queue, before = flow.queue, flow.readings[0].retrying
        again = queue.retrying or 0
        ready = every if queue.name == ALL else queue.ready
        if again < least or again <= ready or before is None or again < before:
            continue
        yield Finding(
            subject=queue.label,
            summary=f"{jobs(again)} of {queue.label} wait for another try, {ready:,} for their "
            "first",
            severity=Severity.MEDIUM,
            confidence=Confidence.MEDIUM,
            evidence=(
                Evidence("jobs to be tried again", float(again), "jobs", float(least), SOURCE),
                Evidence("jobs waiting for their first try", float(ready), "jobs", source=SOURCE),
                Evidence("change in the window", float(again - before), "jobs", source=SOURCE),
            ),
            fixes=(
                Fix(
                    f"Find out what the jobs of {queue.label} fail of; let retries back off",
                    (*failed(queue), "# retries: at most 5, waiting 2, 4, 8, ... minutes"),
                    "text",
                    risk="fewer tries mean that more jobs end up failed for good",
                    verify="scaledoctor scan again: fewer retries than new jobs",
                    undo="the old number of tries",
                ),
            ),
            # Of the tries to come, half: how many fail once more is not measured.
            impact=0.5 * again / (again + ready + (queue.in_flight or 0)),
        )
