"""One sentence: what, the number, the confidence."""

from collections.abc import Mapping, Sequence

from scaledoctor.model import Confidence, State
from scaledoctor.report import Diagnosis, Headroom, Status, Verdict, first_to_fill
from scaledoctor.snapshot import Record, Skip


def verdict(
    diagnoses: Sequence[Diagnosis],
    rows: Sequence[Headroom],
    records: Sequence[Record],
    skipped: Sequence[Skip],
    looked: Mapping[str, int],
) -> Verdict:
    """Name the bottleneck, or say that there is none and what fills up first.

    Without a consumer, a saturated resource is still named, with low confidence. When a named
    target could not be reached, or most plug-ins could not look at it, the verdict is unknown,
    never healthy. ``looked`` counts by target the plug-ins that could look.
    """
    if diagnoses:
        return _bottleneck(diagnoses[0])
    full = [r for r in rows if r.state is State.SATURATED]
    if full:
        used = f" at {full[0].utilization:.0%}" if full[0].utilization is not None else ""
        return Verdict(
            Status.BOTTLENECK,
            f"{full[0].resource} is saturated{used}; nothing that was measured explains by whom",
            Confidence.LOW,
        )
    refused = [r for r in records if r.named and not r.reach.ok]
    if refused:
        why = "; ".join(f"{r.name}: {r.reach.message}" for r in refused)
        return Verdict(Status.UNKNOWN, f"no verdict: {why}", Confidence.LOW)
    for record in records:
        blind = [s for s in skipped if s.target == record.name]
        if record.named and len({s.what for s in blind}) >= looked.get(record.name, 0):
            enable = f" ({blind[0].enable})" if blind and blind[0].enable else ""
            why = f"{record.name}: {blind[0].reason if blind else 'nothing to look at'}{enable}"
            return Verdict(
                Status.UNKNOWN, f"no verdict, too little was seen: {why}", Confidence.LOW
            )
    return _healthy(rows, records, skipped)


def _bottleneck(diagnosis: Diagnosis) -> Verdict:
    finding = diagnosis.finding
    return Verdict(
        Status.BOTTLENECK, finding.summary, finding.confidence, finding=diagnosis.fingerprint
    )


def _healthy(
    rows: Sequence[Headroom], records: Sequence[Record], skipped: Sequence[Skip]
) -> Verdict:
    first = first_to_fill(rows)
    alone = not any(r.named for r in records)
    sentence = "no bottleneck on this machine" if alone else "no bottleneck"
    if first is not None and first.multiple is not None:
        times = max(1.0, first.multiple)
        sentence += (
            f"; {first.resource} fills up first, at {times:.1f} times this traffic "
            f"(now {first.utilization or 0:.0%})"
        )
    if alone:
        sentence += "; no database and nothing else was looked at, for none was given (--dsn)"
    if skipped:
        sentence += "; not everything could be seen, see skipped"
    confidence = Confidence.MEDIUM if skipped or alone else Confidence.HIGH
    return Verdict(Status.HEALTHY, sentence, confidence)
