"""The report as one HTML file that asks nobody for anything."""

from scaledoctor.sdk import Report, Style, report


@report("html")
def html(report: Report, style: Style) -> str:
    """Verdict, blame chain, causes with fixes to copy, headroom bars; light, dark and in print."""
    from scaledoctor_reports import _html

    return _html.render(report)
