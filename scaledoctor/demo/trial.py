"""One trial: healthy, broken, diagnosed, mended; the same for the demo and the lab."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from scaledoctor.collect import Observer
from scaledoctor.demo.fault import Fault
from scaledoctor.demo.load import LoadResult
from scaledoctor.demo.remedy import Applied
from scaledoctor.demo.stage import Stage, Tell, stage
from scaledoctor.model import Finding, Fix
from scaledoctor.report import Report, Status

SECONDS = 4.0
"""Of load before and after; at 200 requests per second a fifth is seen far beyond chance."""

CALM = 1.5
"""Seconds between the fix and the measurement: pools reconnect within one."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What happened; ``subject`` is the object that had to be named.

    ``rank`` is the place of the injected cause among the diagnoses, 1 at best; None when it is
    not there. ``applied`` are the commands of the report's own first fix; ``after`` is None when
    none could be carried out. ``waiting`` are jobs that waited at the fix and after the last
    measurement, None where there are no jobs.
    """

    fault: Fault
    seed: int
    subject: str
    before: LoadResult
    during: LoadResult
    report: Report
    rank: int | None
    false_alarms: tuple[str, ...]
    applied: tuple[Applied, ...] = ()
    after: LoadResult | None = None
    waiting: tuple[int, int] | None = None
    seconds: float = field(default=0.0)

    @property
    def left(self) -> float:
        """Throughput under the fault over the healthy one."""
        return self.during.throughput / max(self.before.throughput, 0.001)

    @property
    def restored(self) -> float | None:
        """Throughput after the fix over the healthy one; None when nothing was mended."""
        if self.after is None:
            return None
        return self.after.throughput / max(self.before.throughput, 0.001)

    @property
    def problem(self) -> str:
        """Why the trial failed, in a few words; empty when it passed."""
        if self.fault.healthy:
            return self._alarm()
        if self.fault.hurts is not None and self.left > self.fault.hurts:
            return f"the fault did not bite: {self.left:.0%} of the traffic was left"
        if self.rank != 1:
            return f"the cause is {' or '.join(self.fault.checks)} on {self.subject}"
        if self.fault.bar is None:
            return ""
        if self.restored is None:
            return "the report's first fix could not be carried out"
        if self.restored < self.fault.bar:
            return f"the fix brought only {self.restored:.0%} of the traffic back"
        if self.waiting and self.waiting[1] >= self.waiting[0]:
            return "{:,} jobs waited before the fix, {:,} wait after it".format(*self.waiting)
        return ""

    def _alarm(self) -> str:
        """What was said of a healthy system that is not so, or was not seen."""
        if self.false_alarms:
            return f"false alarm: {', '.join(self.false_alarms)}"
        verdict = self.report.verdict
        return "" if verdict.status is Status.HEALTHY else f"not healthy: {verdict.sentence}"


def trial(
    fault: Fault,
    seed: int,
    *,
    window: float | None = None,
    bindir: Path | None = None,
    tell: Tell = lambda text: None,
    observer: Observer = lambda *_: None,
    shown: Callable[[Trial], None] = lambda trial: None,
) -> Trial:
    """Run a fault from a healthy shop to the proof of its fix.

    ``tell`` gets a line for each stage of the work, ``shown`` the trial before the fix.
    """
    window = fault.window if window is None else window
    began = time.monotonic()
    tell("starting PostgreSQL and the shop")
    with stage(fault, seed, bindir=bindir, tell=tell) as scene:
        tell(f"measuring the healthy shop for {SECONDS:g} s")
        before = _healthy(scene)
        tell(f"now {fault.story}")
        with fault.inject(scene):
            during, report = _broken(scene, window, observer, tell)
            found = _judged(scene, before, during, report)
            shown(found)
            if not fault.healthy and report.diagnoses:
                found = _mended(scene, found, report.diagnoses[0].finding.fixes[:1], tell)
            return replace(found, seconds=time.monotonic() - began)


def _broken(
    scene: Stage, window: float, observer: Observer, tell: Tell
) -> tuple[LoadResult, Report]:
    """Let the fault spread under load, then scan while a load of its own is measured."""
    quiet = scene.fault.pace.quiet
    with scene.loaded(scene.fault.settle + 5.0, quiet=quiet):
        time.sleep(scene.fault.settle)
    with scene.loaded(window + 1.0, quiet=quiet) as running:
        tell(f"scanning for {window:g} s")
        report = scene.scan(window, observer)
        return running.result(), report


def _judged(scene: Stage, before: LoadResult, during: LoadResult, report: Report) -> Trial:
    fault, subject = scene.fault, scene.fault.subject(scene.names)
    roots = [d.finding for d in report.diagnoses]
    right = [place for place, root in enumerate(roots, 1) if names(fault, subject, root)]
    return Trial(
        fault=fault,
        seed=scene.names.seed,
        subject=subject,
        before=before,
        during=during,
        report=report,
        rank=right[0] if right else None,
        false_alarms=false_alarms(fault, roots),
    )


def _mended(scene: Stage, found: Trial, fixes: tuple[Fix, ...], tell: Tell) -> Trial:
    """Apply the fix and measure, if any of its commands could be carried out."""
    applied: tuple[Applied, ...] = ()
    for fix in fixes:
        tell(f"applying the fix that the report names: {fix.title}")
        applied = scene.apply(fix)
    if all(command.problem for command in applied):
        return replace(found, applied=applied)
    waiting = scene.fault.waiting
    left = waiting(scene) if waiting else None
    time.sleep(CALM)
    tell(f"measuring again for {SECONDS:g} s")
    found = replace(found, applied=applied, after=_healthy(scene))
    return found if not waiting or left is None else replace(found, waiting=(left, waiting(scene)))


def _healthy(scene: Stage) -> LoadResult:
    """What the clients see once caches are warm."""
    if scene.fault.warm:
        scene.measure(scene.fault.warm)
    return scene.measure(SECONDS)


def names(fault: Fault, subject: str, finding: Finding) -> bool:
    """Whether a finding is the injected cause: one of its checks, with its object.

    Applications and their roles differ in ``-`` and ``_`` alone.
    """
    words = f"{finding.subject} {finding.summary}".replace("_", "-")
    return finding.check in fault.checks and subject.replace("_", "-") in words


def false_alarms(fault: Fault, roots: list[Finding]) -> tuple[str, ...]:
    """Root causes that are neither the injected one nor an accepted symptom."""
    accepted = {*fault.checks, *fault.symptoms}
    return tuple(root.check for root in roots if root.check not in accepted)
