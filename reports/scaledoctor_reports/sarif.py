"""SARIF 2.1.0, in the subset that GitHub's code scanning shows."""

from scaledoctor.sdk import Report, Style, report


@report("sarif")
def sarif(report: Report, style: Style) -> str:
    """Findings as SARIF results with rank, fingerprint, fix and what could not be seen."""
    from scaledoctor_reports import _sarif

    return _sarif.render(report)
