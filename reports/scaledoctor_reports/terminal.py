"""The report for people at a terminal."""

from scaledoctor.sdk import Report, Style, report


@report("terminal")
def terminal(report: Report, style: Style) -> str:
    """Verdict, why, causes with evidence and fixes, fix path, headroom, risks, blind spots."""
    from scaledoctor_reports import _terminal

    return _terminal.render(report, style)
