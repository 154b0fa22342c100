"""The end of the terminal report: risks, what could not be seen, what was ruled out, the footer."""

from collections.abc import Sequence

from scaledoctor.model import Finding
from scaledoctor.report import Report
from scaledoctor_reports import _words as words
from scaledoctor_reports._causes import remedy
from scaledoctor_reports._page import INKS, Page

COMPACT = 3
"""Lines of what was ruled out before the rest is only counted."""


def findings(page: Page, heading: str, found: Sequence[Finding]) -> None:
    """A section of findings, one line each; their fixes from -v on."""
    if not found:
        return
    page.heading(heading)
    for finding in found:
        name = f"{finding.check}: " if page.style.verbosity > 1 else ""
        page.say(
            (f"{words.severity(finding.severity)} ", INKS[finding.severity]),
            f"{name}{finding.summary}",
            lead=f"{page.marks.dot} ",
        )
        for fix in finding.fixes if page.style.verbosity > 0 else ():
            remedy(page, fix, indent=4)
    if page.style.verbosity < 1 and any(f.fixes for f in found):
        page.say("their fixes: -v", indent=2, ink="dim")


def ruled_out(page: Page, report: Report) -> None:
    """What was looked at and found innocent."""
    if not report.ruled_out:
        return
    page.heading("Ruled out")
    known = {row.resource for row in report.headroom}  # the headroom panel has said it already
    news = [text for text in report.ruled_out if text.partition(" ")[0] not in known]
    shown = report.ruled_out if page.style.verbosity > 0 else news[:COMPACT]
    for text in shown:
        page.say(text, lead=f"{page.marks.good} ", ink="dim")
    if more := len(report.ruled_out) - len(shown):
        page.say(f"and {more} more: -v", indent=2, ink="dim")


def not_seen(page: Page, report: Report) -> None:
    """Skipped is not ok: what, why, and how to see it next time; then what crashed."""
    refused = [target for target in report.targets if not target.ok]
    if refused or report.skipped:
        page.heading("Could not be seen (skipped is not ok)")
    for target in refused:
        page.say(
            (f"{target.name}", "bold"), f" at {target.address}: {target.message}",
            lead=f"{page.marks.bad} ",
        )  # fmt: skip
    for group in words.unseen(report):
        where = f" on {group.target}" if group.target else ""
        page.say(f"{group.reason}{where}; skipped: {', '.join(group.what)}",
                 lead=f"{page.marks.unknown} ")  # fmt: skip
        page.labelled("to enable", group.enable, 2)
    if report.errored:
        page.heading("Crashed (a fault of the plug-in, not of your system)")
    for failure in report.errored:
        where = f" on {failure.target}" if failure.target else ""
        page.say((failure.what, "bold"), f"{where}: {failure.error}", lead=f"{page.marks.bad} ")
        if page.style.verbosity > 1:
            page.command(failure.traceback, 4)
    if report.errored and page.style.verbosity < 2:
        page.say("tracebacks: -vv", indent=2, ink="dim")


def gate(page: Page, report: Report) -> None:
    """The scan beside its baseline: the sentence, and everything that changed."""
    found = report.gate
    if found is None:
        return
    page.heading("Beside the baseline")
    mark = page.marks.bad if found.failed else page.marks.good
    page.say((found.sentence, "bold red" if found.failed else "bold"), lead=f"{mark} ")
    for line in (*found.incomparable, *found.notices):
        page.say(line, lead=f"{page.marks.warn} ")
    for change in found.changed:
        word = "fails" if change.fails else change.turn.value
        note = f" ({change.note})" if change.note else ""
        page.say(
            (f"{word} ", "red" if change.fails else "dim"),
            f"{change.what}: {change.before} to {change.after}{note}",
            lead=f"{page.marks.dot} ",
        )


def footer(page: Page, report: Report) -> None:
    """What was looked at, for how long, what was masked, and what is hidden here."""
    page.console.print()
    dot = page.marks.dot
    if page.style.verbosity > 1:
        for target in report.targets:
            cost = f"{words.plural(target.queries, 'reading')} in {target.seconds:.2f} s"
            page.say(f"cost of {target.name}: {cost}", ink="dim")
    seen = ", ".join(target.name for target in report.targets if target.ok)
    parts = (
        f"{report.tool} {report.version}",
        f"{report.started:%Y-%m-%d %H:%M:%S} UTC",
        words.scanned(report),
        f"took {report.seconds:.1f} s",
        f"saw {seen}" if seen else "nothing was reached",
        words.masked(report),
    )
    page.say(f" {dot} ".join(parts), ink="dim")
    if report.minor and page.style.verbosity < 1:
        page.say(f"{len(report.minor)} minor hidden: -v", ink="dim")
    if report.suppressed:
        page.say(f"{words.suppressed(report)} by the configuration", ink="dim")
    for item in report.suppressed if page.style.verbosity > 0 else ():
        until = f" until {item.until}" if item.until else ""
        found = item.finding
        page.say(f"{found.check}, {found.subject}{until}: {item.reason}", indent=2, ink="dim")
    for notice in report.notices:
        page.say(notice, lead=f"{page.marks.warn} ")
