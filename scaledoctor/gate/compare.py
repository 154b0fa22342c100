"""A scan beside a baseline: findings and counters can shut the gate, timings cannot.

The rules and their false-alarm rates are those of a simulation of 4,000 to 6,000 runs: over 30
gated timings a plain +10 % rule is shut wrongly in nearly every run, counts are not.
"""

from collections.abc import Iterator
from datetime import date

from scaledoctor.gate.baseline import Baseline, Known, known
from scaledoctor.gate.counters import Counter
from scaledoctor.model import Finding, Severity
from scaledoctor.report import Change, Comparison, Report, Turn

GROWTH = 0.1
"""Growth of a counter from which it is worse, if it exceeds the counter's floor too (lhci and
codecov gate counts this way)."""


def compare(
    base: Baseline,
    name: str,
    report: Report,
    numbers: tuple[Counter, ...],
    here: dict[str, str],
    fail_on: int = Severity.HIGH,
) -> Comparison:
    """Put a scan beside a baseline; findings fail from ``fail_on`` on.

    ``here`` are this scan's conditions; where the baseline's differ nothing is concluded.
    """
    differ = [
        f"{key} was {was}, is {here[key]}"
        for key, was in base.conditions.items()
        if key in here and here[key] != was
    ]
    missing = [
        f"{key.rpartition(' ')[0]} was not seen" for key in base.conditions if key not in here
    ]
    changes = [*_findings(base, report, fail_on), *_counters(base, numbers)]
    return Comparison(
        baseline=name,
        changes=tuple(sorted(changes, key=lambda c: (not c.fails, c.turn is Turn.SAME, c.what))),
        incomparable=tuple(dict.fromkeys([*differ, *missing])),
        notices=tuple(_notices(base, report.started.date(), report)),
    )


def _notices(base: Baseline, today: date, report: Report) -> Iterator[str]:
    if today > base.expires:
        yield f"the baseline expired on {base.expires}: write a new one"
    if base.version != report.version:
        yield f"the baseline was written by scaledoctor {base.version}, this is {report.version}"


def _findings(base: Baseline, report: Report, fail_on: int) -> Iterator[Change]:
    before = {found.fingerprint: found for found in base.findings}
    accepted = {item.finding.fingerprint for item in report.suppressed}
    now = {finding.fingerprint: finding for finding in report.findings}
    for fingerprint, finding in now.items():
        yield _finding(before.get(fingerprint), finding, fail_on)
    for fingerprint, was in before.items():
        if fingerprint not in now and fingerprint not in accepted:
            turn = Turn.EDGE if was.edge else Turn.GONE
            yield Change(f"{was.check}: {was.subject}", turn, was.severity, "none")


def _finding(was: Known | None, finding: Finding, fail_on: int) -> Change:
    what, after = f"{finding.check}: {finding.subject}", finding.severity.name.lower()
    edge = known(finding).edge
    if was is None:
        turn = Turn.EDGE if edge else Turn.NEW
        fails = turn is Turn.NEW and finding.severity >= fail_on
        note = "within 10 % of its limit" if edge else finding.summary
        return Change(what, turn, "none", after, note, fails)
    grade = Severity[was.severity.upper()]
    if finding.severity > grade and not (edge and was.edge):
        return Change(what, Turn.WORSE, was.severity, after, finding.summary,
                      finding.severity >= fail_on)  # fmt: skip
    turn = Turn.BETTER if finding.severity < grade else Turn.SAME
    return Change(what, turn, was.severity, after)


def _counters(base: Baseline, numbers: tuple[Counter, ...]) -> Iterator[Change]:
    now = {number.name: number for number in numbers}
    for was in base.counters:
        if was.name in now:
            yield _counter(was, now[was.name])


def _counter(was: Counter, now: Counter) -> Change:
    grown = now.value - was.value
    limit = max(GROWTH * was.value, now.floor)
    turn = Turn.WORSE if grown > limit else Turn.BETTER if -grown > limit else Turn.SAME
    share = f"{grown / was.value:+.0%}" if was.value else "from nothing"
    note = f"{share}, beyond {limit:.3g}" if turn is not Turn.SAME else f"~ {share}"
    return Change(was.name, turn, f"{was.value:.3g}", f"{now.value:.3g}", note, turn is Turn.WORSE)
