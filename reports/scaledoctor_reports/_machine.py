"""From a Report to the JSON document, its text and its schema."""

import math
from collections.abc import Iterator
from dataclasses import replace

import msgspec

from scaledoctor.model import Evidence, Finding
from scaledoctor.report import Comparison, Diagnosis, Report, Verdict
from scaledoctor_reports import _words as words
from scaledoctor_reports._document import (
    CONFIDENCES,
    SEVERITIES,
    VERSION,
    DiagnosisDocument,
    FailureDocument,
    FindingDocument,
    GateDocument,
    ReportDocument,
    Role,
    RunDocument,
    SkipDocument,
    StageDocument,
    SuppressedDocument,
    VerdictDocument,
)
from scaledoctor_reports._json import dumps


def render(report: Report) -> str:
    """Return the document in a fixed order, indented by one, with a newline at its end."""
    return dumps(msgspec.to_builtins(document(report)))


def schema() -> str:
    """Return the JSON Schema of the document as text, as docs/report.schema.json holds it."""
    found = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "scaledoctor report, schema version 1",
        **msgspec.json.schema(ReportDocument),
    }
    data = msgspec.json.encode(found, order="sorted")
    return msgspec.json.format(data, indent=1).decode() + "\n"


def document(report: Report) -> ReportDocument:
    """Return the document as dataclasses."""
    return ReportDocument(
        schema_version=VERSION,
        tool=report.tool,
        version=report.version,
        run=RunDocument(report.run, report.started, report.window, report.seconds),
        targets=report.targets,
        verdict=_verdict(report.verdict),
        chain=report.diagnoses[0].chain if report.diagnoses else (),
        diagnoses=tuple(map(_diagnosis, report.diagnoses)),
        findings=tuple(_findings(report)),
        fix_path=tuple(_stages(report)),
        headroom=report.headroom,
        ruled_out=report.ruled_out,
        skipped=tuple(SkipDocument(s.what, s.reason, s.enable, s.target) for s in report.skipped),
        errored=tuple(
            FailureDocument(f.what, f.error, f.traceback, f.target) for f in report.errored
        ),
        redactions=dict(sorted(report.redactions.items())),
        suppressed=tuple(
            SuppressedDocument(_finding(s.finding, "suppressed"), s.reason, s.until)
            for s in report.suppressed
        ),
        notices=report.notices,
        gate=_gate(report.gate) if report.gate else None,
        timeline=report.timeline,
        charts=report.charts,
    )


def _gate(found: Comparison) -> GateDocument:
    return GateDocument(
        found.baseline,
        found.failed,
        found.sentence,
        found.changes,
        found.incomparable,
        found.notices,
    )


def _verdict(given: Verdict) -> VerdictDocument:
    confidence = CONFIDENCES[given.confidence]
    return VerdictDocument(given.status.value, given.sentence, confidence, given.finding)


def _diagnosis(diagnosis: Diagnosis) -> DiagnosisDocument:
    return DiagnosisDocument(
        finding=diagnosis.fingerprint,
        score=diagnosis.score,
        chain=diagnosis.chain,
        symptoms=tuple(symptom.fingerprint for symptom in diagnosis.symptoms),
    )


def _findings(report: Report) -> Iterator[FindingDocument]:
    for diagnosis in report.diagnoses:
        root = diagnosis.fingerprint
        yield _finding(diagnosis.finding, "root", root, diagnosis.score)
        yield from (_finding(symptom, "symptom", root) for symptom in diagnosis.symptoms)
    yield from (_finding(found, "minor") for found in report.minor)
    yield from (_finding(found, "risk") for found in report.risks)
    yield from (_finding(found, "blind-spot") for found in report.blind_spots)


def _finding(
    finding: Finding, role: Role, root: str = "", score: float | None = None
) -> FindingDocument:
    return FindingDocument(
        fingerprint=finding.fingerprint,
        role=role,
        root=root,
        score=score,
        check=finding.check,
        title=finding.title,
        target=finding.target,
        subject=finding.subject,
        summary=finding.summary,
        severity=SEVERITIES[finding.severity],
        confidence=CONFIDENCES[finding.confidence],
        kind=finding.kind.value,
        step=int(finding.step),
        impact=finding.impact,
        explains=dict(sorted(finding.explains.items())),
        waits_for=dict(sorted(finding.waits_for.items())),
        evidence=tuple(map(_finite, finding.evidence)),
        fixes=finding.fixes,
        plan=finding.plan,
    )


def _finite(evidence: Evidence) -> Evidence:
    """JSON knows no infinity: such a value becomes a word."""
    if isinstance(evidence.value, float) and not math.isfinite(evidence.value):
        return replace(evidence, value=str(evidence.value))
    return evidence


def _stages(report: Report) -> Iterator[StageDocument]:
    for stage in words.fix_path(report):
        yield StageDocument(int(stage.step), words.STEPS[stage.step], stage.word, stage.work)
