"""What a scan says: all that a renderer ever sees."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from scaledoctor.model import Chart, Confidence, Finding, State, Step
from scaledoctor.snapshot import Cost, Failure, Skip

SCHEMA_VERSION = 1


class Status(StrEnum):
    """The verdict in one word; ``unknown`` means that nothing could be reached."""

    BOTTLENECK = "bottleneck"
    HEALTHY = "healthy"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One sentence: what, the number, the confidence. ``finding`` is the root's fingerprint."""

    status: Status
    sentence: str
    confidence: Confidence
    finding: str = ""


@dataclass(frozen=True, slots=True)
class Hop:
    """One node of the blame chain, from the symptom down to the root.

    ``share`` is the measured share of the hop before it that this one accounts for; the first
    hop has none. ``node`` is "resource" or "finding", ``key`` its resource key or fingerprint.
    """

    node: str
    key: str
    text: str
    target: str
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A root cause with what follows from it; ``score`` is impact x confidence, 0..1."""

    finding: Finding
    fingerprint: str
    score: float
    chain: tuple[Hop, ...] = ()
    symptoms: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Headroom:
    """A resource's line in the headroom table; ``multiple`` is the traffic it can still take.

    ``history`` and ``queued`` are what was used and what waited over the window, evenly spaced;
    empty when unknown.
    """

    resource: str
    target: str
    title: str
    used: float
    limit: float | None
    unit: str
    utilization: float | None
    waiting: float
    errors: float
    state: State
    multiple: float | None
    warn: float
    critical: float
    detail: str
    step: Step
    history: tuple[float, ...] = ()
    queued: tuple[float, ...] = ()


def first_to_fill(rows: Iterable[Headroom]) -> Headroom | None:
    """The resource with room that reaches its limit at the smallest traffic multiple."""
    scaling = [r for r in rows if r.multiple is not None and r.state is not State.SATURATED]
    return min(scaling, key=lambda r: r.multiple or 0.0, default=None)


@dataclass(frozen=True, slots=True)
class Visited:
    """A target of the scan: its role, where, whether it let us in and what the visit cost.

    ``named`` is False for what is looked at unasked: this host. ``queries`` and ``seconds`` are
    the sums of ``costs``, which is by fact.
    """

    name: str
    kind: str
    address: str
    named: bool
    ok: bool
    message: str
    queries: int
    seconds: float
    costs: Mapping[str, Cost] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A finding that the configuration accepts for now: why, and the last day of that."""

    finding: Finding
    reason: str
    until: date | None


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened, and when (UTC)."""

    at: datetime
    what: str


class Turn(StrEnum):
    """How something stands beside the baseline; ``edge`` is so near its limit that it flaps."""

    NEW = "new"
    WORSE = "worse"
    EDGE = "edge"
    SAME = "same"
    BETTER = "better"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Change:
    """A finding or a counter beside the baseline; ``fails`` is what the gate stops at."""

    what: str
    turn: Turn
    before: str
    after: str
    note: str = ""
    fails: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """This scan beside a baseline. ``incomparable`` says why nothing can be concluded."""

    baseline: str
    changes: tuple[Change, ...]
    incomparable: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether the gate is shut."""
        return not self.incomparable and any(change.fails for change in self.changes)

    @property
    def sentence(self) -> str:
        """Shut, open, or nothing to conclude."""
        if self.incomparable:
            return f"INCOMPARABLE with {self.baseline}: nothing is concluded"
        failing = sum(change.fails for change in self.changes)
        if failing:
            return f"REGRESSION against {self.baseline}: {failing} worse than the gate allows"
        return f"no regression against {self.baseline}"

    @property
    def changed(self) -> tuple[Change, ...]:
        """Everything that does not stand as it stood, what fails first."""
        return tuple(change for change in self.changes if change.turn is not Turn.SAME)


@dataclass(frozen=True, slots=True)
class Report:
    """The result of one scan. Ranked diagnoses first; risks and blind spots apart.

    ``notices`` are sentences about the configuration itself: ignores that expired or fit nothing.
    """

    schema_version: int
    tool: str
    version: str
    run: str
    started: datetime
    window: float
    seconds: float
    targets: tuple[Visited, ...]
    verdict: Verdict
    diagnoses: tuple[Diagnosis, ...]
    minor: tuple[Finding, ...]
    risks: tuple[Finding, ...]
    blind_spots: tuple[Finding, ...]
    headroom: tuple[Headroom, ...]
    ruled_out: tuple[str, ...]
    skipped: tuple[Skip, ...]
    errored: tuple[Failure, ...]
    redactions: Mapping[str, int]
    suppressed: tuple[Suppressed, ...] = ()
    notices: tuple[str, ...] = ()
    gate: Comparison | None = None
    timeline: tuple[Moment, ...] = ()
    charts: tuple[Chart, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every finding, roots and symptoms first."""
        live = [f for d in self.diagnoses for f in (d.finding, *d.symptoms)]
        return (*live, *self.minor, *self.risks, *self.blind_spots)

    @property
    def first_to_fill(self) -> Headroom | None:
        """What breaks next when traffic grows; None when no use grows with traffic."""
        return first_to_fill(self.headroom)
