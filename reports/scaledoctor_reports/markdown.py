"""The report as GitHub-flavoured Markdown, for incidents and pull requests."""

from collections.abc import Iterable, Iterator

from scaledoctor.model import Finding, Fix
from scaledoctor.report import Diagnosis
from scaledoctor.sdk import Report, Style, report
from scaledoctor_reports import _words as words
from scaledoctor_reports.escape import fence
from scaledoctor_reports.escape import markdown as inert


@report("markdown")
def markdown(report: Report, style: Style) -> str:
    """Verdict, causes with evidence and fixes, fix path, headroom, and what was not seen."""
    return "\n".join(_document(report)).rstrip() + "\n"


def _document(report: Report) -> Iterator[str]:
    verdict = report.verdict
    yield f"# scaledoctor: {words.HEADLINES[verdict.status].lower()}\n"
    yield f"**{inert(verdict.sentence)}**\n"
    yield f"Confidence {words.confidence(verdict.confidence)}. {_when(report)}\n"
    for number, diagnosis in enumerate(report.diagnoses, 1):
        yield from _diagnosis(number, diagnosis)
    if report.diagnoses:
        yield from _fix_path(report)
    yield from _headroom(report)
    yield from _section("Risks, not urgent now", report.risks)
    yield from _section("Minor", report.minor)
    yield from _section("Blind spots", report.blind_spots)
    yield from _bullets("Ruled out", (inert(text) for text in report.ruled_out))
    yield from _bullets("Could not be seen", _skips(report))
    yield from _bullets("Plug-ins that crashed", (
        f"{inert(f.what)}: {inert(f.error)}" for f in report.errored
    ))  # fmt: skip
    yield from _bullets("Looked at", _targets(report))
    yield f"{report.tool} {report.version}, run {report.run}, {words.masked(report)}."


def _when(report: Report) -> str:
    return f"{report.started:%Y-%m-%d %H:%M:%S} UTC, {words.scanned(report)}."


def _diagnosis(number: int, diagnosis: Diagnosis) -> Iterator[str]:
    finding = diagnosis.finding
    yield f"## {number}. {finding.severity.name.capitalize()}: {inert(finding.subject, 200)}\n"
    yield f"{inert(finding.summary)}\n"
    if finding.impact:
        yield f"It costs {finding.impact:.0%} of the busy time. Check {inert(finding.check)}.\n"
    if len(diagnosis.chain) > 1:
        yield "How it shows:\n"
        for depth, hop in enumerate(diagnosis.chain):
            share = f"{hop.share:.0%} of it: " if hop.share is not None else ""
            yield f"{'  ' * depth}- {share}{inert(hop.text)}"
        yield ""
    yield from _evidence(finding)
    for fix in finding.fixes:
        yield from _fix(fix)
    yield from _bullets("Symptoms", (inert(s.summary) for s in diagnosis.symptoms), level=3)


def _evidence(finding: Finding) -> Iterator[str]:
    if not finding.evidence:
        return
    yield "| fact | value | threshold | source |"
    yield "|---|---|---|---|"
    for e in finding.evidence:
        cells = (e.fact, words.value(e), words.threshold(e), e.source)
        yield "| " + " | ".join(inert(cell, 400) for cell in cells) + " |"
    yield ""


def _fix(fix: Fix) -> Iterator[str]:
    yield f"### Fix: {inert(fix.title)}\n"
    yield fence("\n".join(fix.commands), fix.language) + "\n"
    for label, text in (("Risk", fix.risk), ("Verify", fix.verify), ("Undo", fix.undo)):
        if text:
            yield f"- {label}: {inert(text)}"
    yield ""


def _fix_path(report: Report) -> Iterator[str]:
    yield "## Fix path\n"
    for step, word, what in words.steps(report):
        box = "x" if word == "done" else " "
        tail = f": {word}, {inert(what)}" if word else ""
        yield f"- [{box}] {step.value} {words.STEPS[step]}{tail}"
    yield "- [ ] measure again: the same scan\n"


def _headroom(report: Report) -> Iterator[str]:
    if not report.headroom:
        return
    yield "## Headroom\n"
    yield "| resource | target | used | utilization | waiting | state | outlook |"
    yield "|---|---|---|---|---|---|---|"
    for row in report.headroom:
        share = f"{row.utilization:.0%}" if row.utilization is not None else "unknown"
        cells = (row.resource, row.target, words.used(row), share, words.number(row.waiting),
                 row.state.value, words.outlook(row))  # fmt: skip
        yield "| " + " | ".join(inert(cell, 200) for cell in cells) + " |"
    first = words.first_to_fill(report)
    yield f"\n{inert(first)}.\n" if first else ""


def _section(heading: str, found: Iterable[Finding]) -> Iterator[str]:
    found = list(found)
    if not found:
        return
    yield f"## {heading}\n"
    for finding in found:
        yield f"**{inert(finding.summary)}** ({inert(finding.check)})\n"
        for fix in finding.fixes[:1]:
            yield fence("\n".join(fix.commands), fix.language) + "\n"


def _bullets(heading: str, lines: Iterable[str], level: int = 2) -> Iterator[str]:
    lines = list(lines)
    if lines:
        yield f"{'#' * level} {heading}\n"
        yield from (f"- {text}" for text in lines)
        yield ""


def _skips(report: Report) -> Iterator[str]:
    for skip in report.skipped:
        enable = f" Enable: {inert(skip.enable)}" if skip.enable else ""
        yield f"{inert(skip.what)}: {inert(skip.reason)}.{enable}"


def _targets(report: Report) -> Iterator[str]:
    for target in report.targets:
        state = f"{target.queries} readings" if target.ok else target.message
        yield f"{inert(target.name)} at {inert(target.address)}: {inert(state)}"
