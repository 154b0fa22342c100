"""The Markdown report; the order is that of the terminal report."""

from collections.abc import Iterable, Iterator

from scaledoctor.model import Finding, Fix
from scaledoctor.report import Diagnosis, Report, Status
from scaledoctor_reports import _words as words
from scaledoctor_reports._incident import follow_ups, impact, mermaid, timeline
from scaledoctor_reports.escape import fence, span
from scaledoctor_reports.escape import markdown as inert


def render(report: Report) -> str:
    """Return the whole document."""
    return "\n".join(_document(report)).rstrip() + "\n"


def _document(report: Report) -> Iterator[str]:
    verdict = report.verdict
    yield f"# scaledoctor: {words.HEADLINES[verdict.status]}\n"
    yield f"**{inert(words.sentence(verdict.sentence)) or 'no sentence'}**\n"
    yield f"Confidence {words.confidence(verdict.confidence)}. {_when(report)}\n"
    if verdict.status is Status.HEALTHY:
        yield f"{words.calm(report)}\n"
    if report.diagnoses:
        yield from _chain(report.diagnoses[0])
        yield from mermaid(report.diagnoses[0])
    if verdict.status is Status.BOTTLENECK:
        yield from impact(report)
    yield from timeline(report)
    for number, diagnosis in enumerate(report.diagnoses, 1):
        yield from _cause(number, diagnosis, told=verdict.sentence)
    if verdict.status is Status.BOTTLENECK:
        yield from _fix_path(report)
        yield from follow_ups(report)
    yield from _gate(report)
    yield from _headroom(report)
    yield from _section("Risks, not urgent now", report.risks)
    yield from _section("Minor", report.minor)
    yield from _section("Blind spots", report.blind_spots)
    yield from _bullets("Ruled out", map(inert, report.ruled_out))
    yield from _bullets("Could not be seen (skipped is not ok)", _unseen(report))
    yield from _bullets("Crashed (a fault of the plug-in, not of your system)", _crashes(report))
    yield from _bullets("Suppressed by the configuration", _suppressed(report))
    yield from _bullets("About the configuration", map(inert, report.notices))
    yield from _footer(report)


def _when(report: Report) -> str:
    return f"{report.started:%Y-%m-%d %H:%M:%S} UTC, {words.scanned(report)}."


def _chain(diagnosis: Diagnosis) -> Iterator[str]:
    hops = diagnosis.chain
    if len(hops) < 2:
        return
    yield "From the symptom to the root:\n"
    for number, hop in enumerate(hops, 1):
        share = f"{hop.share:.0%} of it: " if hop.share is not None else ""
        last = number == len(hops)
        text = f"root cause: {span(diagnosis.finding.subject)}" if last else inert(hop.text)
        yield f"{number}. {share}{text}"
    yield ""


def _cause(number: int, diagnosis: Diagnosis, told: str) -> Iterator[str]:
    finding = diagnosis.finding
    yield f"## {number}. {words.severity(finding.severity)}: {inert(finding.subject, 200)}\n"
    if finding.summary != told:
        yield f"{inert(finding.summary)}\n"
    impact = f", impact {finding.impact:.0%}" if finding.impact else ""
    confidence = words.confidence(finding.confidence)
    yield (
        f"Check {span(finding.check)} on {span(finding.target)}{impact}, "
        f"confidence {confidence}, fingerprint `{finding.fingerprint}`.\n"
    )
    if number > 1:
        yield from _chain(diagnosis)
    yield from _table(
        ("fact", "value", "limit", "source"),
        (
            (inert(e.fact), inert(words.value(e)), inert(words.threshold(e)), inert(e.source))
            for e in finding.evidence
        ),
    )
    for fix in finding.fixes:
        yield from _fix(fix)
    yield from _bullets("Symptoms", (inert(s.summary) for s in diagnosis.symptoms), level=3)


def _fix(fix: Fix) -> Iterator[str]:
    yield f"### Fix: {inert(fix.title)}\n"
    yield fence("\n".join(fix.commands), fix.language) + "\n"
    for label, text in (("Risk", fix.risk), ("Verify", fix.verify), ("Undo", fix.undo)):
        if text:
            yield f"- {label}: {_statement(text)}"
    yield ""


def _statement(text: str) -> str:
    """A statement as code, a sentence as text."""
    return span(text) if text.rstrip().endswith(";") else inert(text)


def _fix_path(report: Report) -> Iterator[str]:
    yield "## Fix path\n"
    for stage in words.fix_path(report):
        box = "x" if stage.word == "done" else " "
        word = f"**{stage.word}**" if stage.word else "nothing found"
        work = f", {inert(stage.work)}" if stage.work else ""
        yield f"- [{box}] {stage.step.value} {words.STEPS[stage.step]}: {word}{work}"
    yield f"- [ ] {words.AGAIN}\n"


def _headroom(report: Report) -> Iterator[str]:
    if not report.headroom:
        return
    yield "## Headroom\n"
    yield from _table(
        ("state", "resource", "target", "utilization", "used", "waiting", "outlook"),
        (
            (
                row.state.value,
                inert(row.resource),
                inert(row.target),
                inert(words.share(row)),
                inert(words.used(row)),
                inert(words.trouble(row)),
                inert(words.outlook(row)),
            )
            for row in report.headroom
        ),
    )
    if first := words.first_to_fill(report):
        yield f"{inert(first)}.\n"


def _gate(report: Report) -> Iterator[str]:
    gate = report.gate
    if gate is None:
        return
    yield "## Beside the baseline\n"
    yield f"**{inert(gate.sentence)}**\n"
    yield from _bullets("", map(inert, (*gate.incomparable, *gate.notices)))
    yield from _table(
        ("", "what", "before", "now", "note"),
        (
            (
                "**fails**" if change.fails else change.turn.value,
                *map(inert, (change.what, change.before, change.after, change.note)),
            )
            for change in gate.changed
        ),
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """A table of cells that are already inert; nothing without rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if lines:
        yield f"| {' | '.join(head)} |"
        yield "|" + "---|" * len(head)
        yield from lines
        yield ""


def _section(heading: str, found: Iterable[Finding]) -> Iterator[str]:
    found = list(found)
    if not found:
        return
    yield f"## {heading}\n"
    for finding in found:
        severity = words.severity(finding.severity)
        yield f"**{severity}**: {inert(finding.summary)} ({span(finding.check)})\n"
        for fix in finding.fixes:
            yield from _fix(fix)


def _bullets(heading: str, lines: Iterable[str], level: int = 2) -> Iterator[str]:
    lines = list(lines)
    if lines:
        if heading:
            yield f"{'#' * level} {heading}\n"
        yield from (f"- {text}" for text in lines)
        yield ""


def _unseen(report: Report) -> Iterator[str]:
    for target in report.targets:
        if not target.ok:
            yield f"{span(target.name)} at {span(target.address)}: {inert(target.message)}"
    for group in words.unseen(report):
        where = f" on {span(group.target)}" if group.target else ""
        enable = f" To enable: {_statement(group.enable)}" if group.enable else ""
        yield f"{inert(group.reason)}{where}; skipped: {', '.join(map(span, group.what))}.{enable}"


def _crashes(report: Report) -> Iterator[str]:
    for failure in report.errored:
        where = f" on {span(failure.target)}" if failure.target else ""
        yield f"{span(failure.what)}{where}: {inert(failure.error)}"


def _suppressed(report: Report) -> Iterator[str]:
    for item in report.suppressed:
        until = f" until {item.until}" if item.until else ""
        what = f"{span(item.finding.check)}: {inert(item.finding.subject)}"
        yield f"{what}{until}: {inert(item.reason)}"


def _footer(report: Report) -> Iterator[str]:
    seen = ", ".join(span(target.name) for target in report.targets if target.ok)
    yield (
        f"{report.tool} {report.version}, run {report.run}, took {report.seconds:.1f} s, "
        f"saw {seen or 'nothing'}, {inert(words.masked(report))}."
    )
