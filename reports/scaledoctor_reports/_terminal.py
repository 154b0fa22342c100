"""Drawing the terminal report with rich: the order is what a person on call needs first."""

from collections.abc import Iterable
from io import StringIO

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from scaledoctor.model import Finding, Fix, Severity
from scaledoctor.report import Diagnosis, Report, Status
from scaledoctor.sdk import Style
from scaledoctor_reports import _words as words
from scaledoctor_reports._tables import evidence_table, headroom_table
from scaledoctor_reports.escape import code, line

COLORS = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
    Severity.INFO: "dim",
}
STATUS_COLORS = {
    Status.BOTTLENECK: "bold white on red",
    Status.HEALTHY: "bold black on green",
    Status.UNKNOWN: "bold black on yellow",
}


def render(report: Report, style: Style) -> str:
    """Return the whole report as text of at most ``style.width`` columns (commands excepted)."""
    page = Page(style)
    page.verdict(report)
    if style.verbosity < 0:
        page.quiet(report)
        return page.text()
    for number, diagnosis in enumerate(report.diagnoses, 1):
        page.diagnosis(number, diagnosis)
    if report.diagnoses:
        page.fix_path(report)
    page.headroom(report)
    page.findings("Risks, not urgent now", report.risks, fixes=style.verbosity > 0)
    if style.verbosity > 0:
        page.findings("Minor", report.minor, fixes=False)
    page.findings("Blind spots", report.blind_spots, fixes=style.verbosity > 0)
    page.lists(report)
    page.footer(report)
    return page.text()


class Page:
    """A text being written; knows the style and nothing of the diagnosis."""

    def __init__(self, style: Style) -> None:
        self.style = style
        self.buffer = StringIO()
        self.console = Console(
            file=self.buffer,
            width=style.width,
            force_terminal=style.color,
            color_system="standard" if style.color else None,
            no_color=not style.color,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
        )
        self.marks = (
            {"bad": "✗", "good": "✓", "what": "?", "arrow": "└─", "dot": "·"}
            if style.unicode
            else {"bad": "x", "good": "+", "what": "?", "arrow": "`-", "dot": "-"}
        )

    def text(self) -> str:
        """What was written so far, pure ASCII when the style asks for it."""
        text = "\n".join(row.rstrip() for row in self.buffer.getvalue().split("\n"))
        return text if self.style.unicode else text.encode("ascii", "backslashreplace").decode()

    def say(self, text: str, color: str = "", indent: int = 0) -> None:
        """A paragraph from anywhere, made inert and wrapped with a hanging indent."""
        self.console.print(Padding(Text(line(text), style=color), (0, 0, 0, indent)))

    def heading(self, text: str) -> None:
        """A section's title with a blank line before it."""
        self.console.print()
        self.console.print(Text(text, style="bold"))

    def command(self, text: str, indent: int) -> None:
        """A line to copy: never wrapped, never cut."""
        for row in code(text).split("\n"):
            self.console.print(Text(" " * indent + row, style="green"), soft_wrap=True)

    def verdict(self, report: Report) -> None:
        """The one sentence, first and most prominent."""
        verdict = report.verdict
        mark = {Status.BOTTLENECK: "bad", Status.HEALTHY: "good", Status.UNKNOWN: "what"}
        head = Text(f" {self.marks[mark[verdict.status]]} {words.HEADLINES[verdict.status]} ")
        head.stylize(STATUS_COLORS[verdict.status])
        head.append(f"  confidence {words.confidence(verdict.confidence)}", style="dim")
        self.console.print(head)
        self.say(_capital(verdict.sentence), "bold")

    def quiet(self, report: Report) -> None:
        """One line per cause, for -q."""
        for finding, score in words.causes(report):
            self.say(f"{words.severity(finding.severity)} {score:.0%} {finding.check}: "
                     f"{finding.summary}", indent=2)  # fmt: skip

    def diagnosis(self, number: int, diagnosis: Diagnosis) -> None:
        """A cause: its chain, evidence, fixes, and what follows from it."""
        finding = diagnosis.finding
        self.console.print()
        self.title(finding, f"{number} ")
        if number > 1:
            self.say(finding.summary, indent=2)
        if len(diagnosis.chain) > 1:
            self.chain(diagnosis)
        self.console.print(Padding(evidence_table(finding, self.style), (0, 0, 0, 2)))
        shown = finding.fixes if self.style.verbosity > 0 else finding.fixes[:1]
        for fix in shown:
            self.fix(fix)
        if len(shown) < len(finding.fixes):
            self.say(f"{len(finding.fixes) - len(shown)} more: -v", "dim", 2)
        for symptom in diagnosis.symptoms:
            dot = self.marks["dot"]
            self.say(f"{dot} symptom, {symptom.check}: {symptom.summary}", "dim", 2)

    def title(self, finding: Finding, number: str = "") -> None:
        """Severity in a word and a colour, the check, its object, its target."""
        head = Text(f"{number}{self.marks['bad']} {words.severity(finding.severity)}")
        head.stylize(COLORS[finding.severity])
        about = f"{finding.check} {self.marks['dot']} {finding.subject}"
        head.append(f"  {line(about, 160)}", style="bold")
        if finding.impact:
            head.append(f"  costs {finding.impact:.0%} of the time", style="dim")
        self.console.print(head)

    def chain(self, diagnosis: Diagnosis) -> None:
        """From the symptom down to the root, each hop with its measured share."""
        for depth, hop in enumerate(diagnosis.chain):
            last = depth == len(diagnosis.chain) - 1
            share = f"{hop.share:.0%} of it: " if hop.share is not None else "symptom: "
            arrow = f"{self.marks['arrow']} " if depth else ""
            text = diagnosis.finding.subject if last else hop.text
            self.say(f"{arrow}{share}{text}", "" if last else "dim", 2 + 3 * max(0, depth - 1))

    def fix(self, fix: Fix) -> None:
        """One way out with what to paste, its risk, and how to check and undo it."""
        self.say(f"Fix: {fix.title}", "bold", 2)
        for text in fix.commands:
            self.command(text, 6)
        for label, text in (("risk", fix.risk), ("verify", fix.verify), ("undo", fix.undo)):
            if text:
                self.say(f"{label}: {text}", "dim", 4)

    def fix_path(self, report: Report) -> None:
        """The five steps with where the work is."""
        self.heading("Fix path")
        for step, word, what in words.steps(report):
            mark = {"done": self.marks["good"], "now": ">", "next": " "}.get(word, " ")
            color = "bold" if word == "now" else "" if word else "dim"
            tail = f": {word}, {what}" if word else ""
            self.say(f"{mark} {step.value} {words.STEPS[step]}{tail}", color, 2)
        self.say("  then measure again: the same scan", "dim", 2)

    def headroom(self, report: Report) -> None:
        """Every resource with a bar, the fullest first."""
        if not report.headroom:
            return
        self.heading("Headroom")
        self.console.print(Padding(headroom_table(report, self.style), (0, 0, 0, 2)))
        if first := words.first_to_fill(report):
            self.say(first, "dim", 2)

    def findings(self, heading: str, found: Iterable[Finding], *, fixes: bool) -> None:
        """A section of findings, one line each unless their fixes are wanted."""
        found = list(found)
        if not found:
            return
        self.heading(heading)
        for finding in found:
            self.say(f"{self.marks['dot']} {finding.summary}", indent=2)
            for fix in finding.fixes if fixes else ():
                self.fix(fix)
        if not fixes and any(f.fixes for f in found) and self.style.verbosity < 1:
            self.say("how to mend them: -v", "dim", 2)

    def lists(self, report: Report) -> None:
        """What was ruled out, what could not be seen, what crashed."""
        if report.ruled_out and self.style.verbosity > 0:
            self.heading("Ruled out")
            for text in report.ruled_out:
                self.say(f"{self.marks['good']} {text}", indent=2)
        if report.skipped:
            self.heading("Could not be seen")
            for skip in report.skipped:
                enable = f"  Enable: {skip.enable}" if skip.enable else ""
                where = f" on {skip.target}" if skip.target else ""
                self.say(f"{self.marks['what']} {skip.what}{where}: {skip.reason}.{enable}",
                         indent=2)  # fmt: skip
        if report.errored:
            self.heading("Plug-ins that crashed")
            for failure in report.errored:
                self.say(f"{self.marks['bad']} {failure.what}: {failure.error}", indent=2)
                if self.style.verbosity > 1:
                    self.command(failure.traceback, 4)

    def footer(self, report: Report) -> None:
        """What was looked at, for how long, and what is hidden here."""
        self.console.print()
        for target in report.targets:
            if not target.ok:
                self.say(f"{self.marks['bad']} {target.name} at {target.address}: {target.message}")
        seen = ", ".join(f"{t.name} ({t.queries} readings)" for t in report.targets if t.ok)
        hidden = [f"{len(report.minor)} minor findings"] if report.minor else []
        if report.ruled_out:
            hidden.append(f"{len(report.ruled_out)} causes ruled out")
        parts = [
            f"{report.tool} {report.version}",
            f"{report.started:%Y-%m-%d %H:%M:%S} UTC",
            words.scanned(report),
            seen or "nothing was reached",
            words.masked(report),
        ]
        if hidden and self.style.verbosity < 1:
            parts.append(f"hidden: {', '.join(hidden)} (-v)")
        self.say(f" {self.marks['dot']} ".join(parts), "dim")


def _capital(sentence: str) -> str:
    """A sentence begins with a capital, unless it begins with a name."""
    first = sentence.split(" ", 1)[0]
    return sentence[:1].upper() + sentence[1:] if first in ("no", "nothing") else sentence
