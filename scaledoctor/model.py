"""What checks give: findings with evidence and fixes, and the use of resources."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class Severity(IntEnum):
    """How urgent it is, by its effect now; higher is worse."""

    INFO = 10
    LOW = 20
    MEDIUM = 30
    HIGH = 40
    CRITICAL = 50


class Confidence(IntEnum):
    """How sure the evidence makes us."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


class Step(IntEnum):
    """The five steps of the fix path."""

    IDENTIFY = 1
    SCALE_OUT = 2
    POOL = 3
    OFFLOAD = 4
    TIGHTEN = 5


class Kind(StrEnum):
    """What a finding is about: a live cost, a latent risk, or something we cannot see."""

    LIVE = "live"
    RISK = "risk"
    BLIND_SPOT = "blind-spot"


class State(StrEnum):
    """How a resource stands: ``unknown`` when it has no known limit."""

    OK = "ok"
    BUSY = "busy"
    SATURATED = "saturated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measured number: what, its value and unit, the limit it broke, where it was read."""

    fact: str
    value: float | str
    unit: str = ""
    threshold: float | str | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Fix:
    """One way out, ready to paste: ``language`` is sql, shell, ini or text.

    ``risk``, ``verify`` and ``undo`` are one sentence or command each. Nothing here is ever
    executed for the user.
    """

    title: str
    commands: tuple[str, ...]
    language: str = "sql"
    risk: str = ""
    verify: str = ""
    undo: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a check saw.

    ``subject`` is its stable object (table and columns, application, setting), never a number
    or a pid. ``explains`` maps a resource to the measured share (0..1) of that resource's use or
    wait that this finding causes; ``waits_for`` maps a resource to the share of this finding's
    own time that is spent waiting for it. ``plan`` is the plan of its statement, drawn as text
    without literals. ``impact`` is the share (0..1) of session, request or
    worker time over the window that disappears if the cause is fixed. ``check``, ``step``,
    ``title`` and ``target`` are filled in by the engine.
    """

    subject: str
    summary: str
    severity: Severity
    confidence: Confidence = Confidence.HIGH
    evidence: tuple[Evidence, ...] = ()
    fixes: tuple[Fix, ...] = ()
    explains: Mapping[str, float] = field(default_factory=dict)
    waits_for: Mapping[str, float] = field(default_factory=dict)
    impact: float = 0.0
    kind: Kind = Kind.LIVE
    plan: str = ""
    check: str = ""
    step: Step = Step.IDENTIFY
    title: str = ""
    target: str = ""

    @property
    def fingerprint(self) -> str:
        """A stable identity: check, target's role and subject; never numbers, pids or hosts."""
        text = "\x1f".join((self.check, self.target, self.subject))
        return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Band:
    """One part of a chart: its name and its values, evenly spaced over the window."""

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """What something consisted of over the window: bands that stand upon each other.

    ``title`` says what is shown, ``unit`` what is counted, ``note`` what is left out. All bands
    have the same number of values over ``seconds``. ``target`` is filled in by the engine.
    """

    title: str
    unit: str
    seconds: float
    bands: tuple[Band, ...]
    note: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """How much of one resource is in use: the USE triple (utilization, saturation, errors).

    ``used`` and ``limit`` share ``unit``; ``waiting`` is the mean number that wait for it over
    the window, ``errors`` the number refused. ``contended`` False keeps a full resource that
    nobody queues for at ``busy``. ``waits_for`` maps another resource to the share of this
    one's use that is itself waiting there. ``subject`` tells several uses of one resource
    apart. ``scales`` says that the use grows with traffic, so that a multiple makes sense.
    ``history`` and ``queued`` are what was used and what waited over the window, evenly spaced, at
    most 60 values, empty when unknown. ``chart`` shows what it consists of.
    """

    used: float
    limit: float | None
    unit: str
    warn: float
    critical: float
    waiting: float = 0.0
    errors: float = 0.0
    contended: bool = True
    scales: bool = True
    waits_for: Mapping[str, float] = field(default_factory=dict)
    subject: str = ""
    detail: str = ""
    history: tuple[float, ...] = ()
    queued: tuple[float, ...] = ()
    chart: Chart | None = None
    resource: str = ""
    step: Step = Step.IDENTIFY
    title: str = ""
    target: str = ""

    @property
    def key(self) -> str:
        """The name by which findings refer to it: the resource id, with the subject if any."""
        return f"{self.resource}:{self.subject}" if self.subject else self.resource

    @property
    def utilization(self) -> float | None:
        """Used over limit; None without a known limit."""
        return self.used / self.limit if self.limit else None

    @property
    def state(self) -> State:
        """Saturated at ``critical`` of the limit when contended, or when it refuses work."""
        if self.utilization is None:
            return State.UNKNOWN
        if (self.utilization >= self.critical and self.contended) or self.errors > 0:
            return State.SATURATED
        return State.BUSY if self.utilization >= self.warn else State.OK

    @property
    def multiple(self) -> float | None:
        """The traffic multiple at which it is full, if use grows with traffic in proportion."""
        if not self.scales or not self.utilization:
            return None
        return 1.0 / self.utilization
