"""The report as GitHub-flavoured Markdown, for incidents and pull requests."""

from scaledoctor.sdk import Report, Style, report


@report("markdown")
def markdown(report: Report, style: Style) -> str:
    """Verdict, causes with evidence and fixes, fix path, headroom, and what was not seen."""
    from scaledoctor_reports import _markdown

    return _markdown.render(report)
