"""The whole diagnosis: a snapshot in, a Report out; pure."""

from collections.abc import Sequence
from math import fsum

from scaledoctor import __version__
from scaledoctor.config.model import Ignore
from scaledoctor.diagnosis.headroom import charts, headroom
from scaledoctor.diagnosis.rank import MAJOR, rank
from scaledoctor.diagnosis.ruled_out import ruled_out
from scaledoctor.diagnosis.suppress import suppress
from scaledoctor.diagnosis.timeline import timeline
from scaledoctor.diagnosis.verdict import verdict
from scaledoctor.examine import Examination, examine
from scaledoctor.model import Finding, Kind
from scaledoctor.registry import Registry
from scaledoctor.report import SCHEMA_VERSION, Moment, Report, Visited
from scaledoctor.snapshot import Record, Skip, Snapshot


def diagnose(
    snapshot: Snapshot,
    registry: Registry,
    ignores: Sequence[Ignore] = (),
    events: Sequence[Moment] = (),
) -> Report:
    """Run every resource and check, leave out what is ignored, and put the rest in order."""
    seen = examine(snapshot, registry)
    findings, suppressed, notices = suppress(seen.findings, ignores, snapshot.started.date())
    diagnoses, rows = rank(seen.uses, findings), headroom(seen.uses)
    skipped = _skipped(snapshot, seen)
    failures = [*registry.problems, *(f for r in snapshot.records for f in r.failures)]
    return Report(
        schema_version=SCHEMA_VERSION,
        tool="scaledoctor",
        version=__version__,
        run=f"{snapshot.started:%Y%m%dT%H%M%SZ}",
        started=snapshot.started,
        window=snapshot.window,
        seconds=snapshot.seconds,
        targets=tuple(map(_visited, snapshot.records)),
        verdict=verdict(diagnoses, rows, snapshot.records, skipped, seen.looked),
        diagnoses=diagnoses,
        minor=_of_kind(findings, Kind.LIVE, below=MAJOR),
        risks=_of_kind(findings, Kind.RISK),
        blind_spots=_of_kind(findings, Kind.BLIND_SPOT),
        headroom=rows,
        ruled_out=ruled_out(
            rows, (registry.checks[i] for i in seen.quiet), seen.uses, seen.findings
        ),
        skipped=skipped,
        errored=(*failures, *seen.failures),
        redactions=snapshot.redactions,
        suppressed=suppressed,
        notices=notices,
        timeline=timeline(snapshot, events),
        charts=charts(seen.uses),
    )


def _of_kind(
    findings: Sequence[Finding], kind: Kind, below: int | None = None
) -> tuple[Finding, ...]:
    found = [f for f in findings if f.kind is kind and (below is None or f.severity < below)]
    return tuple(sorted(found, key=lambda f: (-f.severity, f.check, f.subject)))


def _visited(record: Record) -> Visited:
    reach = record.reach
    return Visited(
        name=record.name,
        kind=record.kind,
        address=record.address,
        named=record.named,
        ok=reach.ok,
        message=reach.message + (f" ({reach.enable})" if reach.enable else ""),
        queries=sum(c.calls for c in record.costs.values()),
        seconds=round(fsum(c.seconds for c in record.costs.values()), 3),
        costs=record.costs,
    )


def _skipped(snapshot: Snapshot, seen: Examination) -> tuple[Skip, ...]:
    """What could not be seen: one entry per check, and the facts that no check reported."""
    told = {(s.target, s.reason) for s in seen.skips}
    facts = [s for r in snapshot.records for s in r.skips if (r.name, s.reason) not in told]
    return tuple(dict.fromkeys([*seen.skips, *facts]))
