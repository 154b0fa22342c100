"""Jobs wait long before anybody begins them."""

from collections.abc import Iterator

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Severity,
    Step,
    Window,
    check,
)
from scaledoctor.sources.queues import Queues
from scaledoctor_checks.postgres._words import duration
from scaledoctor_checks.queues._flow import Flow, flows
from scaledoctor_checks.queues._words import SOURCE, course, depth, rates, resume, start


@check("queue.latency", step=Step.OFFLOAD)
def latency(
    window: Window[Queues],
    /,
    *,
    medium: float = 60.0,
    high: float = 300.0,
    critical: float = 1800.0,
    soon: float = 60.0,
    deep: int = 1000,
    deeper: int = 10_000,
) -> Iterator[Finding]:
    """Jobs wait long before a worker begins them.

    Why: to whoever waits for the outcome it is the same as a slow request; depth alone is not.
    How measured: the age of the oldest job that waits; where the framework keeps no times, depth
    over jobs done per second (Little's law). From ``medium``, ``high`` and ``critical`` seconds;
    low when all of it is worked off within ``soon`` seconds. Where neither age nor rate is known
    and the depth did not fall, from ``deep`` and ``deeper`` jobs, with low confidence.
    Fix: resume it when it is paused; look at routing when its workers are idle; otherwise see
    what queue.workers waits for.
    When to ignore: a queue for work that may wait until the night.
    References: awesome-prometheus-alerts: Sidekiq latency 60 s, RabbitMQ 1,000 messages; BullMQ
    issue 3237.
    """
    limits = {Severity.CRITICAL: critical, Severity.HIGH: high, Severity.MEDIUM: medium}
    found = [f for f in flows(window) if f.never_empty and f.consumers != 0]
    every = sum(f.queue.ready for f in found)
    for flow in found:
        late = flow.late
        if late is None:
            by_depth = {Severity.HIGH: deeper, Severity.MEDIUM: deep}
            severity = _above(float(flow.queue.ready), by_depth) if flow.grown >= 0 else None
        else:
            severity = _above(late, limits)
        if severity is None:
            continue
        if flow.drains <= soon:
            severity = Severity.LOW
        weight = min(1.0, (late if late is not None else medium) / high)
        yield _finding(flow, severity, weight * flow.queue.ready / every, medium)


def _above(value: float, limits: dict[Severity, float] | dict[Severity, int]) -> Severity | None:
    return next((severity for severity, limit in limits.items() if value >= limit), None)


def _finding(flow: Flow, severity: Severity, impact: float, medium: float) -> Finding:
    queue, late = flow.queue, flow.late
    kept = queue.oldest is not None
    sure = Confidence.HIGH if kept else Confidence.MEDIUM if late is not None else Confidence.LOW
    how = "age of the oldest job" if kept else "wait by Little's law"
    own = queue.paused or flow.idle
    return Finding(
        subject=queue.label,
        summary=_summary(flow),
        severity=severity,
        confidence=sure,
        evidence=(
            Evidence(how, late if late is not None else "not known", "s", medium, SOURCE),
            Evidence("jobs waiting", float(queue.ready), "jobs", source=SOURCE),
            Evidence("arrivals and jobs done", rates(flow), source=SOURCE),
            *(
                [Evidence("jobs worked on, mean", flow.busy, f"of {queue.slots or 'unknown'} slots",
                          source=SOURCE)]
                if flow.busy is not None else []
            ),
        ),
        fixes=(_fix(flow),),
        waits_for={} if own else {flow.key: 1.0},
        # Age stands in for the effect: full at five minutes, for its share of what waits.
        impact=impact,
    )  # fmt: skip


def _summary(flow: Flow) -> str:
    queue = flow.queue
    waits = (
        f"the oldest of {depth(queue)} in {queue.label} waits for {duration(queue.oldest)}"
        if queue.oldest is not None
        else f"a job in {queue.label} waits {duration(flow.wait)}: {queue.ready:,} are before it"
        if flow.wait is not None
        else f"{depth(queue)} wait in {queue.label}"
    )
    if queue.paused:
        return f"{waits}: it is paused"
    if flow.idle:
        return f"{waits}, while {flow.busy:.1f} of {queue.slots} slots are used: more do not help"
    return f"{waits}; {course(flow)}"


def _fix(flow: Flow) -> Fix:
    queue = flow.queue
    if queue.paused:
        return Fix(
            f"Resume {queue.label}",
            (resume(queue),),
            "shell",
            risk="somebody paused it for a reason: ask first; all that waits begins at once",
            verify="scaledoctor scan again: the age of the oldest job falls",
            undo="pause it again",
        )
    if flow.idle:
        return Fix(
            "Find out why idle workers do not take these jobs, before starting more",
            ("# do they listen to this queue, or to others before it?", start(queue)),
            "shell",
            risk="none: looking only",
            verify="scaledoctor scan again: slots in use",
            undo="none needed",
        )
    return Fix(
        "Look at what its workers wait for, then at their number",
        ("scaledoctor scan -v",),
        "shell",
        risk="none: looking only",
        verify="scaledoctor scan again: the oldest job is younger",
        undo="none needed",
    )
