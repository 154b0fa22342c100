"""The report for programs: schema version 1, frozen (docs/report.schema.json)."""

from scaledoctor.sdk import Report, Style, report


@report("json")
def json_report(report: Report, style: Style) -> str:
    """Everything in the report, with fingerprints, in one JSON document."""
    from scaledoctor_reports import _machine

    return _machine.render(report)
