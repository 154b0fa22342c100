"""Findings as a table for spreadsheets (RFC 4180)."""

from scaledoctor.sdk import Report, Style, report

COLUMNS = (
    "role", "severity", "confidence", "impact", "check", "target", "subject", "summary", "fix",
    "fingerprint",
)  # fmt: skip


@report("csv")
def csv_report(report: Report, style: Style) -> str:
    """One line a finding, in the order of the report."""
    import csv
    import io

    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(COLUMNS)
    table.writerows([_cell(text) for text in row] for row in _rows(report))
    return out.getvalue()


def _rows(report: Report) -> list[tuple[str, ...]]:
    from scaledoctor_reports._machine import document

    return [
        (
            found.role, found.severity, found.confidence, f"{found.impact:.4f}", found.check,
            found.target, found.subject, found.summary,
            found.fixes[0].title if found.fixes else "", found.fingerprint,
        )
        for found in document(report).findings
    ]  # fmt: skip


def _cell(text: str) -> str:
    """Inert text that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    from scaledoctor_reports.escape import line

    shown = line(text)
    return f"'{shown}" if shown[:1] in ("=", "+", "-", "@") else shown
