"""GitLab's Code Quality report, for its merge request widget."""

from scaledoctor.model import Finding, Severity
from scaledoctor.sdk import Report, Style, report

_SEVERITIES = {
    Severity.CRITICAL: "blocker",
    Severity.HIGH: "critical",
    Severity.MEDIUM: "major",
    Severity.LOW: "minor",
    Severity.INFO: "info",
}


@report("gitlab")
def gitlab(report: Report, style: Style) -> str:
    """One entry a finding, as artifacts:reports:codequality reads it."""
    from scaledoctor_reports._json import dumps

    return dumps([_entry(finding) for finding in report.findings])


def _entry(finding: Finding) -> dict[str, object]:
    from scaledoctor_reports._place import place
    from scaledoctor_reports.escape import line

    path, number = place(finding)
    return {
        "description": line(finding.summary) or finding.check,
        "check_name": finding.check,
        "fingerprint": finding.fingerprint,
        "severity": _SEVERITIES[finding.severity],
        "location": {"path": path, "lines": {"begin": number}},
    }
