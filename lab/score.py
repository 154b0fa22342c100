"""What a trial scored, as a line of the table and as plain data."""

from collections.abc import Sequence
from dataclasses import dataclass

from scaledoctor.demo.trial import Trial


@dataclass(frozen=True, slots=True)
class Score:
    """One case with one seed.

    Throughput is in good replies per second. ``above`` counts the diagnoses that rank above the
    injected cause, None when the cause is not among them. ``queries`` and ``busy_seconds`` are
    what the scan cost its target. ``problem`` is empty when the case passed or was skipped.
    """

    case: str
    seed: int
    control: bool = False
    skipped: str = ""
    problem: str = ""
    right: bool | None = None
    above: int | None = None
    false_alarms: tuple[str, ...] = ()
    healthy: float = 0.0
    broken: float = 0.0
    mended: float | None = None
    restored: float | None = None
    applied: tuple[str, ...] = ()
    scan_seconds: float = 0.0
    queries: int = 0
    busy_seconds: float = 0.0
    seconds: float = 0.0
    verdict: str = ""

    @property
    def passed(self) -> bool:
        """Neither failed nor skipped."""
        return not self.problem and not self.skipped


def score(trial: Trial) -> Score:
    """Read the score off a trial; beside the right cause nothing wrong may be named either."""
    also = f"also named: {', '.join(trial.false_alarms)}" if trial.false_alarms else ""
    database = [t for t in trial.report.targets if t.kind == "postgres"]
    return Score(
        case=trial.fault.name,
        seed=trial.seed,
        control=trial.fault.healthy,
        problem=trial.problem or also,
        right=None if trial.fault.healthy else trial.rank == 1,
        above=None if trial.rank is None else trial.rank - 1,
        false_alarms=trial.false_alarms,
        healthy=trial.before.throughput,
        broken=trial.during.throughput,
        mended=trial.after.throughput if trial.after else None,
        restored=trial.restored,
        applied=tuple(a.command for a in trial.applied if not a.problem),
        scan_seconds=trial.report.seconds,
        queries=sum(t.queries for t in database),
        busy_seconds=sum(t.seconds for t in database),
        seconds=trial.seconds,
        verdict=trial.report.verdict.sentence,
    )


HEAD = ("case", "seed", "cause", "above", "false", "healthy", "broken", "mended", "restored",
        "scan", "queries", "busy", "result")  # fmt: skip
NUMBERS = HEAD[3:-1]


def row(one: Score) -> tuple[str, ...]:
    """One line of the table, as text under `HEAD`."""
    if one.skipped:
        return (one.case, str(one.seed), *[""] * (len(HEAD) - 3), f"skipped: {one.skipped}")
    cause = "" if one.right is None else "right" if one.right else "wrong"
    above = "" if one.control else "-" if one.above is None else str(one.above)
    # With no command that a program may apply, the fix is a change in the application.
    mended = f"{one.mended:.0f}/s" if one.mended is not None else "" if one.control else "people"
    return (
        one.case,
        str(one.seed),
        cause,
        above,
        str(len(one.false_alarms)),
        f"{one.healthy:.0f}/s",
        f"{one.broken:.0f}/s",
        mended,
        "" if one.restored is None else f"{one.restored:.0%}",
        f"{one.scan_seconds:.1f} s",
        str(one.queries),
        f"{one.busy_seconds * 1000:.0f} ms",
        one.problem or "passed",
    )


def table(scores: Sequence[Score]) -> str:
    """All scores in columns."""
    rows = [HEAD, *map(row, scores)]
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if head in NUMBERS else cell.ljust(width)
            for head, cell, width in zip(HEAD, cells, widths, strict=True)
        ).rstrip()
        for cells in rows
    )


def summary(scores: Sequence[Score]) -> str:
    """Everything in one line."""
    ran = [s for s in scores if not s.skipped]
    faults = [s for s in ran if not s.control]
    controls = [s for s in ran if s.control]
    mended = [s.restored for s in faults if s.restored is not None]
    right = sum(bool(s.right) for s in faults)
    worst = f", at worst {min(mended):.0%} of the traffic back" if mended else ""
    return (
        f"{right} of {len(faults)} causes named first; {len(mended)} fixes applied{worst}; "
        f"{sum(bool(s.false_alarms) for s in controls)} of {len(controls)} healthy systems with a "
        f"false alarm; {sum(s.passed for s in ran)} of {len(ran)} passed, "
        f"{len(scores) - len(ran)} skipped"
    )
