"""Annotations for a GitHub Actions step: ten errors and ten warnings are all that it shows."""

from scaledoctor.model import Finding, Severity
from scaledoctor.sdk import Report, Style, report

MOST = 10
"""Annotations of one kind that GitHub shows for a step."""

_LEVELS = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "notice",
    Severity.INFO: "notice",
}


@report("github")
def github(report: Report, style: Style) -> str:
    """Workflow commands for the first ten of each level, and the verdict as plain text."""
    from scaledoctor_reports.escape import line

    shown: list[str] = []
    left = 0
    for level in ("error", "warning", "notice"):
        mine = [f for f in report.findings if _LEVELS[f.severity] == level]
        shown += [_annotation(level, f) for f in mine[:MOST]]
        left += max(0, len(mine) - MOST)
    more = f" ({left} more in the other formats)" if left else ""
    return "\n".join([*shown, f"scaledoctor: {line(report.verdict.sentence)}{more}", ""])


def _annotation(level: str, finding: Finding) -> str:
    from scaledoctor_reports._place import place
    from scaledoctor_reports.escape import line

    file, number = place(finding)
    fixes = "".join(f" Fix: {fix.title}" for fix in finding.fixes[:1])
    where = f"file={_property(file)},line={number}"
    title = _property(line(finding.title or finding.check, 200))
    return f"::{level} {where},title={title}::{_data(line(finding.summary + '.' + fixes))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
