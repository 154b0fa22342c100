"""Metrics for node_exporter's textfile collector."""

from collections.abc import Iterator

from scaledoctor.report import Status
from scaledoctor.sdk import Report, Severity, Style, report

Sample = tuple[dict[str, str], float]


@report("prometheus")
def prometheus(report: Report, style: Style) -> str:
    """Gauges: the verdict, findings by severity and check, use and limit of every resource."""
    return "".join(_family(*family) for family in _families(report))


def _families(report: Report) -> Iterator[tuple[str, str, list[Sample]]]:
    verdict = report.verdict.status
    yield "last_scan_timestamp_seconds", "When the scan began.", [({}, report.started.timestamp())]
    yield (
        "bottleneck",
        "1 when the scan named a bottleneck, 0 when not, NaN when it could not tell.",
        [({}, float("nan") if verdict is Status.UNKNOWN else float(bool(report.diagnoses)))],
    )
    yield "findings", "Findings by severity.", [
        ({"severity": s.name.lower()}, float(sum(f.severity is s for f in report.findings)))
        for s in Severity
    ]  # fmt: skip
    yield "cause_score", "Impact times confidence of each root cause, 0 to 1.", [
        ({"check": d.finding.check, "target": d.finding.target, "subject": d.finding.subject},
         d.score)
        for d in report.diagnoses
    ]  # fmt: skip
    rows = [({"target": r.target, "resource": r.resource}, r) for r in report.headroom]
    yield "resource_used", "Use of a resource in its own unit.", [(n, r.used) for n, r in rows]
    yield "resource_limit", "Limit of a resource in its own unit.", [
        (n, r.limit) for n, r in rows if r.limit is not None
    ]  # fmt: skip
    yield "resource_waiting", "Mean number that wait for it.", [(n, r.waiting) for n, r in rows]
    yield "unseen", "Targets refused, plug-ins skipped or crashed.", [
        ({"reason": "refused"}, float(sum(not t.ok for t in report.targets))),
        ({"reason": "skipped"}, float(len(report.skipped))),
        ({"reason": "crashed"}, float(len(report.errored))),
    ]  # fmt: skip


def _family(name: str, words: str, samples: list[Sample]) -> str:
    if not samples:
        return ""
    full = f"scaledoctor_{name}"
    lines = dict.fromkeys(_sample(full, labels, value) for labels, value in samples)
    return f"# HELP {full} {words}\n# TYPE {full} gauge\n" + "".join(lines)


def _sample(name: str, labels: dict[str, str], value: float) -> str:
    told = ",".join(f'{key}="{_label(text)}"' for key, text in labels.items())
    number = "NaN" if value != value else repr(value)
    return f"{name}{{{told}}} {number}\n" if told else f"{name} {number}\n"


def _label(text: str) -> str:
    from scaledoctor_reports.escape import line

    return line(text, 200).replace("\\", "\\\\").replace('"', '\\"')
