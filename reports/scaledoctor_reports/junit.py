"""JUnit's XML: findings as test cases, so that any CI shows them."""

from scaledoctor.sdk import Report, Style, report


@report("junit")
def junit(report: Report, style: Style) -> str:
    """A failure for each finding from HIGH on; skips and crashes are shown as such."""
    from scaledoctor_reports import _junit

    return _junit.render(report)
