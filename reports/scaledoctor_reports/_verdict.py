"""The top of the terminal report: the verdict, the blame chain, what to do now."""

from scaledoctor.model import Finding
from scaledoctor.report import Diagnosis, Report, Status
from scaledoctor_reports import _words as words
from scaledoctor_reports._page import INKS, Page


def verdict(page: Page, report: Report) -> None:
    """One sentence, most prominent, with its confidence."""
    given, marks = report.verdict, page.marks
    mark = {
        Status.BOTTLENECK: marks.bad,
        Status.HEALTHY: marks.good,
        Status.UNKNOWN: marks.unknown,
    }[given.status]
    page.heading(
        words.HEADLINES[given.status],
        f"confidence {words.confidence(given.confidence)}, {words.scanned(report)}",
        mark=mark,
        ink=INKS[given.status],
    )
    page.say(words.sentence(given.sentence), ink="bold")


def why(page: Page, report: Report) -> None:
    """How the first cause shows, and the first thing to do about it; calm when all is well."""
    if report.verdict.status is Status.HEALTHY:
        page.say(words.calm(report))
    if not report.diagnoses:
        return
    first = report.diagnoses[0]
    page.console.print()
    chain(page, first, indent=0)
    if first.finding.fixes:
        step = f"step {first.finding.step.value}, {words.STEPS[first.finding.step]}"
        page.say(
            (f"Do now ({step}): ", "bold"),
            first.finding.fixes[0].title,
            (" (commands below)", "dim"),
            lead=f"{page.marks.now} ",
        )


def chain(page: Page, diagnosis: Diagnosis, indent: int) -> None:
    """From the symptom down to the root, each hop with its measured share of the one above."""
    hops = diagnosis.chain
    if len(hops) < 2:
        return
    page.say("Symptom: ", hops[0].text, indent=indent)
    for depth, hop in enumerate(hops[1:]):
        root = depth == len(hops) - 2
        share = f"{hop.share:.0%} of it" if hop.share is not None else "because of"
        page.say(
            (f"{share}: ", "dim"),
            ("root cause: ", "bold") if root else "",
            diagnosis.finding.subject if root else hop.text,
            lead=page.marks.arrow,
            # Ten levels of indentation are enough for any chain on 40 columns.
            indent=indent + 3 * min(depth, 10),
        )


def quiet(page: Page, report: Report) -> None:
    """One line per finding, for -q."""
    found: list[Finding] = [d.finding for d in report.diagnoses]
    for finding in (*found, *report.risks, *report.blind_spots):
        kind = "" if finding in found else f" {finding.kind.value}"
        page.say(
            (f"{page.marks.bad if finding in found else page.marks.warn} ", ""),
            (f"{words.severity(finding.severity)}{kind} ", INKS[finding.severity]),
            f"{finding.check}: {finding.summary}",
        )
