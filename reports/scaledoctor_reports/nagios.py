"""One line as a Nagios plug-in prints it; the monitoring-plugins guidelines give the states."""

from scaledoctor.model import Severity
from scaledoctor.report import Headroom, Status
from scaledoctor.sdk import Report, Style, report

_EXITS = {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3}


def exits(report: Report) -> int:
    """The exit code that Nagios reads: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN."""
    return _EXITS[state(report)]


@report("nagios", exits=exits)
def nagios(report: Report, style: Style) -> str:
    """``CRITICAL - verdict | resource=used;warn;crit;0;limit``, one value a resource."""
    from scaledoctor_reports.escape import line

    text = line(report.verdict.sentence, 300).replace("|", "/")
    values = " ".join(_value(row) for row in report.headroom if row.limit)
    return f"{state(report)} - {text}" + (f" | {values}" if values else "") + "\n"


def state(report: Report) -> str:
    """OK, WARNING, CRITICAL, or UNKNOWN when nothing could be reached."""
    if report.verdict.status is Status.UNKNOWN:
        return "UNKNOWN"
    worst = max((d.finding.severity for d in report.diagnoses), default=Severity.INFO)
    if worst >= Severity.HIGH:
        return "CRITICAL"
    return "WARNING" if worst >= Severity.MEDIUM else "OK"


def _value(row: Headroom) -> str:
    from scaledoctor_reports.escape import line

    limit = row.limit or 0.0
    name = line(f"{row.target} {row.resource}", 100).replace("'", "''").replace("=", "-")
    numbers = (row.used, row.warn * limit, row.critical * limit, 0, limit)
    return f"'{name.replace('|', '/')}'=" + ";".join(f"{number:.6g}" for number in numbers)
