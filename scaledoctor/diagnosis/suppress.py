"""Findings that the configuration accepts for now, and ignores that do nothing any more."""

from collections.abc import Iterator, Sequence
from datetime import date

from scaledoctor.config.model import Ignore
from scaledoctor.model import Finding
from scaledoctor.report import Suppressed


def suppress(
    findings: Sequence[Finding], ignores: Sequence[Ignore], today: date
) -> tuple[list[Finding], tuple[Suppressed, ...], tuple[str, ...]]:
    """Part findings into kept and suppressed; say which ignores expired or fit nothing."""
    kept: list[Finding] = []
    suppressed: list[Suppressed] = []
    for finding in findings:
        reason = next((i for i in ignores if i.covers(finding) and i.holds(finding, today)), None)
        if reason is None:
            kept.append(finding)
        else:
            suppressed.append(Suppressed(finding, reason.reason, reason.until))
    return kept, tuple(suppressed), tuple(_notices(kept, suppressed, ignores, today))


def _notices(
    kept: Sequence[Finding],
    suppressed: Sequence[Suppressed],
    ignores: Sequence[Ignore],
    today: date,
) -> Iterator[str]:
    for ignore in ignores:
        back = [f for f in kept if ignore.covers(f)]
        if ignore.until is not None and ignore.until < today:
            word = "its finding is back" if back else "nothing needs it any more"
            yield f"the ignore of {ignore.check} expired on {ignore.until}: {word}"
        elif back:
            yield (
                f"the ignore of {ignore.check} has no date: {back[0].severity.name.lower()} "
                "findings need one (until = YYYY-MM-DD)"
            )
        elif not any(ignore.covers(s.finding) for s in suppressed):
            yield f"the ignore of {ignore.check} fits nothing in this scan"
