"""What the formats share: numbers, states and sections in words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from scaledoctor.model import Confidence, Evidence, Finding, Severity, State, Step
from scaledoctor.report import Headroom, Report, Status

STEPS: Mapping[Step, str] = {
    Step.IDENTIFY: "identify the bottleneck",
    Step.SCALE_OUT: "scale out and balance",
    Step.POOL: "pool connections",
    Step.OFFLOAD: "offload heavy work to a queue",
    Step.TIGHTEN: "tighten queries and caching",
}

HEADLINES: Mapping[Status, str] = {
    Status.BOTTLENECK: "BOTTLENECK",
    Status.HEALTHY: "HEALTHY",
    Status.UNKNOWN: "UNKNOWN",
}

AGAIN = "then measure again with the same scan"


def number(value: float) -> str:
    """Two or three significant digits: 0.052, 8.4, 313, 12,345."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1 else f"{value:.2g}"


def plural(count: int, word: str) -> str:
    """Count things: "1 finding", "2 findings"."""
    return f"{count} {word}" + ("" if count == 1 else "s")


def value(evidence: Evidence) -> str:
    """A value with its unit: "62%", "8 sessions", text as it is."""
    return _value(evidence.value, evidence.unit)


def threshold(evidence: Evidence) -> str:
    """The limit, in the value's unit; empty without one."""
    if evidence.threshold is None:
        return ""
    return _value(evidence.threshold, "share" if evidence.unit == "share" else "")


def _value(given: float | str, unit: str) -> str:
    if isinstance(given, str):
        return given
    if unit == "share":
        return f"{given:.0%}"
    return f"{number(given)} {unit}".strip()


def severity(given: Severity) -> str:
    """CRITICAL, HIGH, ..."""
    return given.name


def confidence(given: Confidence) -> str:
    """Return high, medium or low."""
    return given.name.lower()


def sentence(text: str) -> str:
    """A sentence of our own begins with a capital; one that begins with a name stays."""
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first in ("no", "nothing") else text


def used(row: Headroom) -> str:
    """What is used of what; the detail where there is no count to tell."""
    if row.detail:
        return row.detail
    if row.limit is None:
        return f"{number(row.used)} {row.unit}, no known limit"
    return f"{number(row.used)} of {number(row.limit)} {row.unit}".strip()


def share(row: Headroom) -> str:
    """The utilization; "?" where the limit is unknown."""
    return "?" if row.utilization is None else f"{row.utilization:.0%}"


def trouble(row: Headroom) -> str:
    """Who waits and what was refused: "3.2 waiting, 4 refused"; empty when nothing is."""
    counts = ((row.waiting, "waiting"), (row.errors, "refused"))
    return ", ".join(f"{number(count)} {word}" for count, word in counts if count >= 0.05)


def outlook(row: Headroom) -> str:
    """The traffic multiple at which it is full; empty where use does not grow with traffic."""
    if row.state is State.SATURATED:
        return "full now"
    if row.multiple is None:
        return ""
    if row.multiple > 100:
        return "full beyond x100"
    return f"full at x{row.multiple:.1f}" if row.multiple > 1 else "at its limit"


def first_to_fill(report: Report) -> str:
    """One sentence on what breaks next; empty when nothing scales with traffic."""
    row = report.first_to_fill
    if row is None:
        return ""
    full = any(r.state is State.SATURATED for r in report.headroom)
    when = f"at {max(1.0, row.multiple or 0.0):.1f} times this traffic"
    next_one = "the next to fill up" if full else "the first to fill up"
    return f"{row.resource} is {next_one}, {when} (now {row.utilization or 0:.0%})"


def scanned(report: Report) -> str:
    """How long was looked; without a window there are no rates."""
    return f"{report.window:g} s window" if report.window else "one shot: no rates"


def calm(report: Report) -> str:
    """What to do when nothing is wrong."""
    if not report.risks:
        return "Nothing needs to be done now."
    return f"Nothing is urgent; {plural(len(report.risks), 'risk')} for a quiet day below."


def masked(report: Report) -> str:
    """What was masked, by rule: "3 values masked (password 2, email 1)"."""
    total = sum(report.redactions.values())
    if not total:
        return "no values masked"
    rules = ", ".join(f"{rule} {n}" for rule, n in sorted(report.redactions.items()))
    return f"{plural(total, 'value')} masked ({rules})"


def suppressed(report: Report) -> str:
    """What the configuration keeps out: "2 findings suppressed"; empty when none is."""
    count = len(report.suppressed)
    return f"{plural(count, 'finding')} suppressed" if count else ""


Progress = Literal["done", "now", "next", "later", ""]


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of the fix path: "done", "now", "next", "later" or "" when there is no work."""

    step: Step
    word: Progress
    work: str


def fix_path(report: Report) -> Iterator[Stage]:
    """The five steps; the root's step is now, other causes are next, risks are later."""
    live = [d.finding for d in report.diagnoses]
    for step in Step:
        causes = [f for f in live if f.step is step]
        risks = [f for f in report.risks if f.step is step]
        if causes:
            yield Stage(step, "now" if causes[0] is live[0] else "next", _work(causes))
        elif step is Step.IDENTIFY:
            found = bool(live) or report.verdict.status is Status.HEALTHY
            yield Stage(step, "done" if found else "now", "" if found else "scan again, longer")
        else:
            yield Stage(step, "later" if risks else "", _work(risks))


def _work(found: list[Finding]) -> str:
    if not found:
        return ""
    first = found[0]
    title = first.fixes[0].title if first.fixes else f"look into {first.subject}"
    return title + (f" (and {len(found) - 1} more)" if len(found) > 1 else "")


@dataclass(frozen=True, slots=True)
class Unseen:
    """Plug-ins that were skipped on one target for one reason."""

    what: tuple[str, ...]
    target: str
    reason: str
    enable: str


def unseen(report: Report) -> Iterator[Unseen]:
    """Skips with the same target, reason and remedy together, in their first order."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for skip in report.skipped:
        groups.setdefault((skip.target, skip.reason, skip.enable), []).append(skip.what)
    for (target, reason, enable), what in groups.items():
        yield Unseen(tuple(what), target, reason, enable)
