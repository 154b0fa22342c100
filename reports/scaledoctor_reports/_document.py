"""The JSON document: the report's own dataclasses, each finding with its fingerprint."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from scaledoctor.model import Confidence, Evidence, Finding, Fix
from scaledoctor.report import Diagnosis, Headroom, Hop, Report, Verdict, Visited
from scaledoctor.snapshot import Failure, Skip


@dataclass(frozen=True, slots=True)
class FindingDocument:
    """A finding as it is published; names instead of numbers for severity and confidence."""

    fingerprint: str
    check: str
    title: str
    target: str
    subject: str
    summary: str
    severity: str
    confidence: str
    kind: str
    step: int
    impact: float
    explains: Mapping[str, float]
    waits_for: Mapping[str, float]
    evidence: tuple[Evidence, ...]
    fixes: tuple[Fix, ...]


@dataclass(frozen=True, slots=True)
class VerdictDocument:
    """The verdict; ``finding`` is the fingerprint of the root cause, empty when there is none."""

    status: str
    sentence: str
    confidence: str
    finding: str


@dataclass(frozen=True, slots=True)
class DiagnosisDocument:
    """A root cause, the chain that leads to it, and its symptoms."""

    score: float
    finding: FindingDocument
    chain: tuple[Hop, ...]
    symptoms: tuple[FindingDocument, ...]


@dataclass(frozen=True, slots=True)
class RunDocument:
    """When and how long; ``window`` and ``seconds`` in seconds."""

    id: str
    started: datetime
    window: float
    seconds: float


@dataclass(frozen=True, slots=True)
class ReportDocument:
    """The whole document, schema version 1."""

    schema_version: int
    tool: str
    version: str
    run: RunDocument
    targets: tuple[Visited, ...]
    verdict: VerdictDocument
    chain: tuple[Hop, ...]
    diagnoses: tuple[DiagnosisDocument, ...]
    minor: tuple[FindingDocument, ...]
    risks: tuple[FindingDocument, ...]
    blind_spots: tuple[FindingDocument, ...]
    headroom: tuple[Headroom, ...]
    ruled_out: tuple[str, ...]
    skipped: tuple[Skip, ...]
    errored: tuple[Failure, ...]
    redactions: Mapping[str, int]


def render(report: Report) -> str:
    """Return the document with sorted keys, indented by one, with a newline at its end."""
    data = msgspec.json.encode(_document(report), order="deterministic")
    return msgspec.json.format(data, indent=1).decode() + "\n"


def schema() -> dict[str, object]:
    """Return the JSON Schema of the document."""
    return msgspec.json.schema(ReportDocument)


def _document(report: Report) -> ReportDocument:
    return ReportDocument(
        schema_version=report.schema_version,
        tool=report.tool,
        version=report.version,
        run=RunDocument(report.run, report.started, report.window, report.seconds),
        targets=report.targets,
        verdict=_verdict(report.verdict),
        chain=report.diagnoses[0].chain if report.diagnoses else (),
        diagnoses=tuple(map(_diagnosis, report.diagnoses)),
        minor=tuple(map(_finding, report.minor)),
        risks=tuple(map(_finding, report.risks)),
        blind_spots=tuple(map(_finding, report.blind_spots)),
        headroom=report.headroom,
        ruled_out=report.ruled_out,
        skipped=report.skipped,
        errored=report.errored,
        redactions=report.redactions,
    )


def _verdict(verdict: Verdict) -> VerdictDocument:
    confidence = _name(verdict.confidence)
    return VerdictDocument(verdict.status.value, verdict.sentence, confidence, verdict.finding)


def _diagnosis(diagnosis: Diagnosis) -> DiagnosisDocument:
    return DiagnosisDocument(
        score=diagnosis.score,
        finding=_finding(diagnosis.finding),
        chain=diagnosis.chain,
        symptoms=tuple(map(_finding, diagnosis.symptoms)),
    )


def _finding(finding: Finding) -> FindingDocument:
    return FindingDocument(
        fingerprint=finding.fingerprint,
        check=finding.check,
        title=finding.title,
        target=finding.target,
        subject=finding.subject,
        summary=finding.summary,
        severity=finding.severity.name.lower(),
        confidence=_name(finding.confidence),
        kind=finding.kind.value,
        step=int(finding.step),
        impact=finding.impact,
        explains=finding.explains,
        waits_for=finding.waits_for,
        evidence=finding.evidence,
        fixes=finding.fixes,
    )


def _name(confidence: Confidence) -> str:
    return confidence.name.lower()
