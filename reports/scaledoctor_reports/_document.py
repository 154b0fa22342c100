"""The JSON document, schema version 1: plain dataclasses, apart from the model on purpose.

What is published here stays as it is while the model may change; the schema in
docs/report.schema.json is made from these types.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from scaledoctor.model import Chart, Confidence, Evidence, Fix, Severity
from scaledoctor.report import Change, Headroom, Hop, Moment, Visited
from scaledoctor_reports._words import Progress

Role = Literal["root", "symptom", "minor", "risk", "blind-spot", "suppressed"]
SeverityName = Literal["info", "low", "medium", "high", "critical"]
ConfidenceName = Literal["low", "medium", "high"]

VERSION: Literal[1] = 1

SEVERITIES: Mapping[Severity, SeverityName] = {
    Severity.INFO: "info",
    Severity.LOW: "low",
    Severity.MEDIUM: "medium",
    Severity.HIGH: "high",
    Severity.CRITICAL: "critical",
}

CONFIDENCES: Mapping[Confidence, ConfidenceName] = {
    Confidence.LOW: "low",
    Confidence.MEDIUM: "medium",
    Confidence.HIGH: "high",
}


@dataclass(frozen=True, slots=True)
class FindingDocument:
    """A finding; ``role`` says where it stands, ``root`` is the fingerprint a symptom leads to.

    ``score`` is impact x confidence (0..1), for roots only.
    """

    fingerprint: str
    role: Role
    root: str
    score: float | None
    check: str
    title: str
    target: str
    subject: str
    summary: str
    severity: SeverityName
    confidence: ConfidenceName
    kind: str
    step: int
    impact: float
    explains: Mapping[str, float]
    waits_for: Mapping[str, float]
    evidence: tuple[Evidence, ...]
    fixes: tuple[Fix, ...]
    plan: str = ""


@dataclass(frozen=True, slots=True)
class VerdictDocument:
    """The verdict; ``finding`` is the fingerprint of the root cause, empty when there is none."""

    status: Literal["bottleneck", "healthy", "unknown"]
    sentence: str
    confidence: ConfidenceName
    finding: str


@dataclass(frozen=True, slots=True)
class DiagnosisDocument:
    """A root cause, the chain that leads to it, its symptoms; findings by fingerprint."""

    finding: str
    score: float
    chain: tuple[Hop, ...]
    symptoms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StageDocument:
    """A step of the fix path: "done", "now", "next", "later", or "" without work."""

    step: int
    name: str
    state: Progress
    work: str


@dataclass(frozen=True, slots=True)
class SkipDocument:
    """What could not be seen on a target, why, and how to enable it."""

    what: str
    reason: str
    enable: str
    target: str


@dataclass(frozen=True, slots=True)
class FailureDocument:
    """A plug-in that crashed."""

    what: str
    error: str
    traceback: str
    target: str


@dataclass(frozen=True, slots=True)
class SuppressedDocument:
    """A finding that the configuration accepts: why, and the last day of that if there is one."""

    finding: FindingDocument
    reason: str
    until: date | None


@dataclass(frozen=True, slots=True)
class GateDocument:
    """The scan beside a baseline; without conclusion where it is ``incomparable``."""

    baseline: str
    failed: bool
    sentence: str
    changes: tuple[Change, ...]
    incomparable: tuple[str, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunDocument:
    """When and how long; ``window`` and ``seconds`` in seconds, window 0 is one shot."""

    id: str
    started: datetime
    window: float
    seconds: float


@dataclass(frozen=True, slots=True)
class ReportDocument:
    """The whole document; ``chain`` is that of the first diagnosis.

    ``notices`` tell of ignores that expired or fit nothing.
    """

    schema_version: Literal[1]
    tool: str
    version: str
    run: RunDocument
    targets: tuple[Visited, ...]
    verdict: VerdictDocument
    chain: tuple[Hop, ...]
    diagnoses: tuple[DiagnosisDocument, ...]
    findings: tuple[FindingDocument, ...]
    fix_path: tuple[StageDocument, ...]
    headroom: tuple[Headroom, ...]
    ruled_out: tuple[str, ...]
    skipped: tuple[SkipDocument, ...]
    errored: tuple[FailureDocument, ...]
    redactions: Mapping[str, int]
    suppressed: tuple[SuppressedDocument, ...]
    notices: tuple[str, ...]
    gate: GateDocument | None
    timeline: tuple[Moment, ...]
    charts: tuple[Chart, ...] = ()
