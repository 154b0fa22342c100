"""The middle of the terminal report: ranked causes with evidence and fixes, and the fix path."""

from rich.table import Table

from scaledoctor.model import Finding, Fix
from scaledoctor.report import Diagnosis, Report
from scaledoctor_reports import _words as words
from scaledoctor_reports._page import INKS, Page
from scaledoctor_reports._verdict import chain

WIDE = 110
"""Columns from which evidence also shows where it was read."""


def causes(page: Page, report: Report) -> None:
    """Every root cause, the costliest first."""
    if report.diagnoses:
        page.heading("Causes" if len(report.diagnoses) > 1 else "Cause")
    for number, diagnosis in enumerate(report.diagnoses, 1):
        if number > 1:
            page.console.print()
        _cause(page, number, diagnosis, told=diagnosis.finding.summary == report.verdict.sentence)


def _cause(page: Page, number: int, diagnosis: Diagnosis, *, told: bool) -> None:
    finding = diagnosis.finding
    title(page, finding, lead=f"{number} ")
    if not told:
        page.say(finding.summary, indent=2)
    if number > 1:
        chain(page, diagnosis, indent=2)
    if finding.evidence:
        _evidence(page, finding, indent=2)
    shown = finding.fixes if page.style.verbosity > 0 else finding.fixes[:1]
    for fix in shown:
        remedy(page, fix, indent=2)
    if more := len(finding.fixes) - len(shown):
        ways = "way" if more == 1 else "ways"
        page.say(f"{more} more {ways} to fix it: -v", indent=2, ink="dim")
    for symptom in diagnosis.symptoms:
        _symptom(page, symptom)


def title(page: Page, finding: Finding, lead: str = "") -> None:
    """Severity as symbol, word and colour; the object; the check; what it costs."""
    detail = f"{finding.check} on {finding.target}"
    if finding.impact:
        detail += f", impact {finding.impact:.0%}"
    detail += f", confidence {words.confidence(finding.confidence)}"
    if page.style.verbosity > 1:
        detail += f", fingerprint {finding.fingerprint}"
    page.say(
        (f"{page.marks.bad} {words.severity(finding.severity)}", INKS[finding.severity]),
        (f": {finding.subject}", "bold"),
        lead=lead,
    )
    page.say(detail, indent=2, ink="dim")


def _evidence(page: Page, finding: Finding, indent: int) -> None:
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False, expand=True)
    table.width = page.table_width - indent
    wide = page.style.width >= WIDE
    for ratio in (3, 4, 3) if wide else (3, 4):
        table.add_column(ratio=ratio, overflow="fold")
    for evidence in finding.evidence:
        limit = words.threshold(evidence)
        value = page.inert((words.value(evidence), "bold"), f"  (limit {limit})" if limit else "")
        cells = [page.inert(evidence.fact), value]
        if wide:
            cells.append(page.inert((evidence.source, "dim")))
        table.add_row(*cells)
    page.draw(table, indent)


def remedy(page: Page, fix: Fix, indent: int) -> None:
    """One way out with what to paste, its risk, and how to check and undo it."""
    page.say(("Fix: ", "bold"), (fix.title, "bold"), indent=indent)
    for text in fix.commands:
        page.command(text, indent + 4)
    for label, text in (("risk", fix.risk), ("verify", fix.verify), ("undo", fix.undo)):
        page.labelled(label, text, indent + 2)


def _symptom(page: Page, symptom: Finding) -> None:
    name = f"symptom, {symptom.check}: " if page.style.verbosity > 1 else "symptom: "
    page.say((name, "dim"), symptom.summary, lead=f"{page.marks.dot} ", indent=2)
    if page.style.verbosity > 0:
        if symptom.evidence:
            _evidence(page, symptom, indent=6)
        for fix in symptom.fixes:
            remedy(page, fix, indent=4)


def fix_path(page: Page, report: Report) -> None:
    """The five steps with where the work is."""
    page.heading("Fix path")
    marks = {"done": page.marks.good, "now": page.marks.now, "next": page.marks.dot}
    inks = {"now": "bold", "": "dim"}
    for stage in words.fix_path(report):
        word = (f" {stage.word}", "bold") if stage.word else " nothing found"
        page.say(
            words.STEPS[stage.step].capitalize(),
            ":",
            word,
            f", {stage.work}" if stage.work else "",
            lead=f"{marks.get(stage.word, ' ')} {stage.step.value} ",
            ink=inks.get(stage.word, ""),
        )
    page.say(words.AGAIN.capitalize(), indent=4, ink="dim")
