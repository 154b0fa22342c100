"""The terminal report as a whole: the order is what a person on call needs first."""

from scaledoctor.report import Report, Status
from scaledoctor.sdk import Style
from scaledoctor_reports._causes import causes, fix_path
from scaledoctor_reports._headroom import charts, headroom
from scaledoctor_reports._page import blank_page
from scaledoctor_reports._rest import findings, footer, gate, not_seen, ruled_out
from scaledoctor_reports._verdict import quiet, verdict, why


def render(report: Report, style: Style) -> str:
    """Return the whole report as text of at most ``style.width`` columns (commands excepted)."""
    page = blank_page(style)
    verdict(page, report)
    if style.verbosity < 0:
        quiet(page, report)
        return page.text()
    why(page, report)
    causes(page, report)
    if report.verdict.status is Status.BOTTLENECK:
        fix_path(page, report)
    gate(page, report)
    headroom(page, report)
    charts(page, report)
    findings(page, "Risks, not urgent now", report.risks)
    if style.verbosity > 0:
        findings(page, "Minor", report.minor)
    findings(page, "Blind spots", report.blind_spots)
    ruled_out(page, report)
    not_seen(page, report)
    footer(page, report)
    return page.text()
