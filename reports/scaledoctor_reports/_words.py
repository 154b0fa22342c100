"""What the formats share: numbers, states and sections in words."""

from collections.abc import Mapping

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


def number(value: float) -> str:
    """At most three significant digits beyond the point: 0.25, 8.4, 313, 12,345."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def value(evidence: Evidence) -> str:
    """A value with its unit: "62 %", "8.0 sessions", text as it is."""
    return _value(evidence.value, evidence.unit)


def threshold(evidence: Evidence) -> str:
    """The limit in the same unit; empty without one."""
    if evidence.threshold is None:
        return ""
    return _value(evidence.threshold, evidence.unit)


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
    """high, medium, low."""
    return given.name.lower()


def used(row: Headroom) -> str:
    """What is used of what; the detail where there is no count to tell."""
    if row.detail:
        return row.detail
    limit = f" of {number(row.limit)}" if row.limit is not None else ""
    return f"{number(row.used)}{limit} {row.unit}".strip()


def outlook(row: Headroom) -> str:
    """The traffic multiple at which it is full; empty where use does not grow with traffic."""
    if row.state is State.SATURATED:
        return "full now"
    return f"full at x{row.multiple:.1f}" if row.multiple is not None else ""


def steps(report: Report) -> list[tuple[Step, str, str]]:
    """The fix path: (step, "now" | "next" | "done" | "", what to do there)."""
    live = [d.finding for d in report.diagnoses]
    lines: list[tuple[Step, str, str]] = []
    for step in Step:
        todo = [f for f in live if f.step is step and f.fixes]
        if step is Step.IDENTIFY:
            lines.append((step, "done", live[0].check if live else "nothing to fix"))
        elif todo:
            word = "now" if todo[0] is live[0] else "next"
            lines.append((step, word, todo[0].fixes[0].title))
        else:
            lines.append((step, "", ""))
    return lines


def first_to_fill(report: Report) -> str:
    """One sentence on what breaks next; empty when nothing scales with traffic."""
    rows = [r for r in report.headroom if r.multiple is not None and r.state is not State.SATURATED]
    if not rows:
        return ""
    row = min(rows, key=lambda r: r.multiple or 0.0)
    return f"{row.resource} fills up first, at {row.multiple:.1f} times this traffic"


def scanned(report: Report) -> str:
    """How long was looked; without a window there are no rates."""
    return f"{report.window:g} s window" if report.window else "one shot: no rates"


def masked(report: Report) -> str:
    """What was masked, by rule: "3 values masked (password 2, email 1)"."""
    total = sum(report.redactions.values())
    if not total:
        return "0 values masked"
    rules = ", ".join(f"{rule} {n}" for rule, n in sorted(report.redactions.items()))
    return f"{total} values masked ({rules})"


def causes(report: Report) -> list[tuple[Finding, float]]:
    """Root causes with their scores, in order."""
    return [(d.finding, d.score) for d in report.diagnoses]
