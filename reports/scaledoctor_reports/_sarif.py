"""From a Report to SARIF 2.1.0.

Limits are GitHub's: 1,024 characters of a description, 255 of a name, 5,000 results shown,
non-empty texts, a physical location for each alert, ``primaryLocationLineHash`` as identity.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from scaledoctor.model import Confidence, Finding, Severity
from scaledoctor.report import Report
from scaledoctor_reports import _words as words
from scaledoctor_reports._json import dumps
from scaledoctor_reports._place import place
from scaledoctor_reports.escape import line

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
MOST = 5_000
"""Results that GitHub shows; the ranked rest would be dropped there."""

_LEVELS = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFO: "note",
}
_PROBLEMS = {"error": "error", "warning": "warning", "note": "recommendation"}
_PRECISIONS = {
    Confidence.HIGH: "high",
    Confidence.MEDIUM: "medium",
    Confidence.LOW: "low",
}


def render(report: Report) -> str:
    """Return the log with one run."""
    accepted = {s.finding.fingerprint: s.reason for s in report.suppressed}
    found = (*report.findings, *(s.finding for s in report.suppressed))[:MOST]
    rules = list(dict.fromkeys(f.check for f in found))
    ranks = {d.fingerprint: d.score * 100 for d in report.diagnoses}
    run = {
        "tool": {
            "driver": {
                "name": report.tool,
                "version": report.version,
                "rules": [_rule(check, found) for check in rules],
            }
        },
        "automationDetails": {"id": f"scaledoctor/{report.run}"},
        "invocations": [_invocation(report)],
        "results": [
            _result(f, rules.index(f.check), ranks) | _suppression(accepted.get(f.fingerprint))
            for f in found
        ],
        "properties": {
            "verdict": _text(report.verdict.sentence),
            "redactions": dict(sorted(report.redactions.items())),
        },
    }
    return dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(check: str, findings: Iterable[Finding]) -> dict[str, Any]:
    mine = [f for f in findings if f.check == check]
    worst = max(mine, key=lambda f: f.severity)
    level = _LEVELS[worst.severity]
    title = _text(worst.title or check)
    return {
        "id": check,
        "name": line(check, 200),
        "shortDescription": {"text": title},
        "fullDescription": {"text": title},
        "help": {"text": f"scaledoctor checks show {check}"},
        "defaultConfiguration": {"level": level},
        "properties": {
            "precision": _PRECISIONS[min(f.confidence for f in mine)],
            "problem.severity": _PROBLEMS[level],
            "tags": ["performance", words.STEPS[worst.step]],
        },
    }


def _result(finding: Finding, rule: int, ranks: dict[str, float]) -> dict[str, Any]:
    file, number = place(finding)
    fixes = "".join(f"\nFix: {fix.title}" for fix in finding.fixes[:1])
    return {
        "ruleId": finding.check,
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity],
        "rank": round(ranks.get(finding.fingerprint, finding.impact * 100), 1),
        "message": {"text": _text(finding.summary) + _text(fixes, empty="")},
        "partialFingerprints": {"primaryLocationLineHash": f"{finding.fingerprint}:1"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(file)},
                    "region": {"startLine": number},
                },
                "logicalLocations": [
                    {"fullyQualifiedName": _text(f"{finding.target}/{finding.subject}")}
                ],
            }
        ],
        "properties": {"kind": finding.kind.value, "impact": finding.impact},
    }


def _suppression(reason: str | None) -> dict[str, Any]:
    if reason is None:
        return {}
    return {"suppressions": [{"kind": "external", "justification": _text(reason)}]}


def _invocation(report: Report) -> dict[str, Any]:
    ended = report.started + timedelta(seconds=report.seconds)
    unseen = [
        (
            "warning",
            f"skipped on {g.target or 'this scan'}: {', '.join(g.what)}: {g.reason}. {g.enable}",
        )
        for g in words.unseen(report)
    ]
    refused = [("error", f"{t.name}: {t.message}") for t in report.targets if not t.ok]
    crashed = [("error", f"{f.what} crashed: {f.error}") for f in report.errored]
    return {
        "executionSuccessful": not report.errored,
        "startTimeUtc": f"{report.started:%Y-%m-%dT%H:%M:%SZ}",
        "endTimeUtc": f"{ended:%Y-%m-%dT%H:%M:%SZ}",
        "toolExecutionNotifications": [
            {"level": level, "message": {"text": _text(text)}}
            for level, text in (*refused, *crashed, *unseen)
        ],
    }


def _text(text: str, empty: str = "(no text)") -> str:
    return line(text, 900)[:1_020] or empty  # the note on what was cut counts too
