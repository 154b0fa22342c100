"""An Events API v2 body for PagerDuty: ``curl -d @- https://events.pagerduty.com/v2/enqueue``."""

from scaledoctor.model import Finding, Severity
from scaledoctor.report import Status
from scaledoctor.sdk import Report, Style, report

ROUTING_KEY = "ROUTING_KEY"
"""What the sender replaces: a report holds no secret."""

_SEVERITIES = {
    Severity.CRITICAL: "critical",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "info",
    Severity.INFO: "info",
}


@report("pagerduty")
def pagerduty(report: Report, style: Style) -> str:
    """Trigger for a bottleneck or a scan that saw nothing; resolve when the system is healthy."""
    from scaledoctor_reports._json import dumps
    from scaledoctor_reports.escape import line

    event = {"routing_key": ROUTING_KEY, "client": report.tool, "dedup_key": _key(report)}
    if report.verdict.status is Status.HEALTHY:
        return dumps({**event, "event_action": "resolve"})
    root = report.diagnoses[0].finding if report.diagnoses else None
    payload = {
        "summary": line(report.verdict.sentence, 900) or report.tool,
        "source": (line(root.target, 200) if root else "") or report.tool,
        "severity": _SEVERITIES[root.severity] if root else "warning",
        "timestamp": f"{report.started:%Y-%m-%dT%H:%M:%SZ}",
        **(_details(root) if root else {}),
    }
    return dumps({**event, "event_action": "trigger", "payload": payload})


def _details(root: Finding) -> dict[str, object]:
    from scaledoctor_reports.escape import line

    return {
        "component": line(root.subject, 200),
        "class": root.check,
        "custom_details": {
            "fingerprint": root.fingerprint,
            "impact": root.impact,
            "fix": [line(fix.title) for fix in root.fixes],
        },
    }


def _key(report: Report) -> str:
    """One incident for one system, whatever its bottleneck is now."""
    import hashlib

    names = "\x1f".join(sorted(target.name for target in report.targets))
    return f"scaledoctor-{hashlib.sha256(names.encode(errors='replace')).hexdigest()[:16]}"
