"""The baseline: a committed file, sorted and with one finding a line, so that it merges."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec

from scaledoctor.errors import ScaledoctorError
from scaledoctor.files import write_whole
from scaledoctor.gate.counters import Counter, conditions, counters
from scaledoctor.model import Finding
from scaledoctor.report import Report
from scaledoctor.snapshot import Snapshot

SCHEMA_VERSION = 1

LIFE = timedelta(days=90)
"""After this a baseline is told to be old (conventions B.4.5): systems change."""

EDGE = 0.1
"""How near to its threshold a number flaps: 10 % (conventions B.4.1)."""


@dataclass(frozen=True, slots=True)
class Known:
    """A finding of the baseline; ``severity`` in words, ``edge`` when it was near its limit."""

    fingerprint: str
    check: str
    target: str
    subject: str
    severity: str
    edge: bool


@dataclass(frozen=True, slots=True)
class Baseline:
    """One good scan, to compare later ones with."""

    schema_version: int
    version: str
    created: date
    expires: date
    conditions: Mapping[str, str]
    findings: tuple[Known, ...]
    counters: tuple[Counter, ...]


def baseline(snapshot: Snapshot, report: Report) -> Baseline:
    """Make one from a scan.

    Raises:
        ScaledoctorError: the scan is no measure: one shot, crashed, or without its targets.
    """
    why = _unfit(report)
    if why:
        raise ScaledoctorError(f"no baseline from this scan: {why}", "mend that and scan again")
    day = snapshot.started.date()
    return Baseline(
        SCHEMA_VERSION,
        report.version,
        day,
        day + LIFE,
        conditions(snapshot),
        tuple(sorted(map(known, report.findings), key=lambda k: (k.check, k.target, k.subject))),
        counters(snapshot),
    )


def known(finding: Finding) -> Known:
    """What a baseline keeps of a finding."""
    return Known(
        finding.fingerprint,
        finding.check,
        finding.target,
        finding.subject,
        finding.severity.name.lower(),
        near_its_limit(finding),
    )


def near_its_limit(finding: Finding) -> bool:
    """Whether the first number that has a threshold lies within 10 % of it."""
    for evidence in finding.evidence:
        value, limit = evidence.value, evidence.threshold
        if isinstance(value, int | float) and isinstance(limit, int | float) and limit:
            return abs(value / limit - 1) <= EDGE + 1e-9  # 33 / 30 is 1.1000000000000001
    return False


def _unfit(report: Report) -> str:
    if not report.window:
        return "it was one shot, without rates"
    if report.errored:
        return f"{report.errored[0].what} crashed"
    refused = [t for t in report.targets if not t.ok]
    return f"{refused[0].name} was not reached" if refused else ""


def dumps(found: Baseline) -> str:
    """Return the file: sorted, one finding or counter a line, three significant digits."""
    head = {
        "schema_version": found.schema_version,
        "version": found.version,
        "created": str(found.created),
        "expires": str(found.expires),
        "conditions": dict(found.conditions),
    }
    lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    findings = [asdict(finding) for finding in found.findings]
    rounded = [{**asdict(c), "value": float(f"{c.value:.3g}")} for c in found.counters]
    for key, rows, end in (("findings", findings, ","), ("counters", rounded, "")):
        told = ",\n".join(f"  {json.dumps(row)}" for row in rows)
        lines.append(f" {json.dumps(key)}: [\n{told}\n ]{end}" if rows else f' "{key}": []{end}')
    return "{\n" + "\n".join(lines) + "\n}\n"


def loads(data: bytes, where: str) -> Baseline:
    """Read a baseline back.

    Raises:
        ScaledoctorError: it is no baseline, or one of a later version.
    """
    try:
        plain: Any = msgspec.json.decode(data)
        if isinstance(plain, dict) and plain.get("schema_version", 0) > SCHEMA_VERSION:
            raise ScaledoctorError(f"{where}: made by a later scaledoctor", "upgrade this one")
        return msgspec.convert(plain, Baseline)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "scaledoctor baseline write makes one"
        raise ScaledoctorError(f"{where}: no baseline: {error}", hint) from None


def read(path: Path) -> Baseline:
    """Read a baseline from a file.

    Raises:
        ScaledoctorError: it cannot be read, or is no baseline.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        hint = f"scaledoctor baseline write SNAPSHOT -o {path}"
        raise ScaledoctorError(f"{path}: {error.strerror}", hint) from None
    return loads(data, str(path))


def write(found: Baseline, path: Path) -> None:
    """Replace the file in one step: whatever happens, the old or the new one is whole.

    Raises:
        ScaledoctorError: it cannot be written; the old file is as it was.
    """
    try:
        write_whole(path, dumps(found).encode())
    except OSError as error:
        raise ScaledoctorError(f"cannot write {path}: {error.strerror}") from None
