"""All that a plug-in author imports.

Four kinds of plug-in, one shape: a function says what it needs by its annotations and what can
be tuned by its keyword defaults. A decorated function is still called as a plain function.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Generic, ParamSpec, TypeVar, get_args, get_origin

from scaledoctor.errors import ScaledoctorError, Unavailable, Unreachable
from scaledoctor.model import (
    Band,
    Chart,
    Confidence,
    Evidence,
    Finding,
    Fix,
    Kind,
    Severity,
    State,
    Step,
    Use,
)
from scaledoctor.needs import Need, Shape, Signature, signature
from scaledoctor.redact import Redactor
from scaledoctor.report import Report
from scaledoctor.targets import Reach, Target
from scaledoctor.window import Window

__all__ = [
    "Band", "Cadence", "Chart", "Check", "Confidence", "Evidence", "Finding", "Fix", "Kind", "Need",
    "Probe", "Reach", "Redactor", "Renderer", "Report", "Resource", "ScaledoctorError", "Severity",
    "Shape", "Source", "State", "Step", "Style", "Target", "Unavailable", "Unreachable", "Use",
    "Window",
    "check", "fact", "probe", "report", "resource", "source",
]  # fmt: skip

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", bound=type)


class Cadence(StrEnum):
    """When a probe is read: at the start, at both edges of the window, sampled, or at the end."""

    ONCE = "once"
    EDGES = "edges"
    SAMPLED = "sampled"
    LAST = "last"


class _Documented:
    """What every plug-in object derives from its function."""

    function: Callable[..., Any]

    @property
    def doc(self) -> str:
        """The function's docstring, dedented."""
        return inspect.getdoc(self.function) or ""

    @property
    def title(self) -> str:
        """The docstring's first line without its full stop."""
        return self.doc.partition("\n")[0].rstrip(".")

    @property
    def module(self) -> str:
        """Where the function was defined."""
        return self.function.__module__

    @cached_property
    def signature(self) -> Signature:
        """Needs, thresholds and return type; TypeError when the annotations are wrong."""
        return signature(self.function)


@dataclass(frozen=True)
class Check(_Documented, Generic[P]):
    """A registered check: facts in, findings out."""

    id: str
    step: Step
    on: str
    function: Callable[P, Iterable[Finding]]
    about: tuple[str, ...] = ()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Iterable[Finding]:
        """Run it on plain facts."""
        return self.function(*args, **kwargs)


@dataclass(frozen=True)
class Resource(_Documented, Generic[P, T]):
    """A registered resource: facts in, a Use (or several, or None) out."""

    id: str
    step: Step
    on: str
    function: Callable[P, T]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it on plain facts."""
        return self.function(*args, **kwargs)


@dataclass(frozen=True)
class Probe(_Documented, Generic[P, T]):
    """A registered probe: a session and earlier facts in, one fact out."""

    cost: str
    cadence: Cadence
    function: Callable[P, Awaitable[T]]
    every: float = 0.0

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Read the fact."""
        return self.function(*args, **kwargs)

    @property
    def session(self) -> type:
        """The class of session that it reads from: its first parameter."""
        return self.signature.needs[0].fact

    @property
    def inputs(self) -> tuple[Need, ...]:
        """The facts that it needs first."""
        return self.signature.needs[1:]

    @property
    def gives(self) -> type:
        """The fact's class, also of a probe that gives its history as ``Window[T]``."""
        returns = self.signature.returns
        given: type = get_args(returns)[0] if get_origin(returns) is Window else returns
        return given


@dataclass(frozen=True)
class Source(_Documented, Generic[T]):
    """A registered source: how to open a session on a target of its kind."""

    kind: str
    session: type[T]
    function: Callable[[Target, Redactor], AbstractAsyncContextManager[T]]


def fact(cls: C) -> C:
    """Mark a frozen dataclass as a fact: what sources give and checks read.

    Raises:
        TypeError: it is not a frozen dataclass.

    """
    params = getattr(cls, "__dataclass_params__", None)
    if params is None or not params.frozen:
        raise TypeError(f"@fact needs a frozen dataclass: {cls.__qualname__}")
    return cls


def check(
    id: str,  # noqa: A002  the word users know
    *,
    step: Step,
    on: str = "",
    about: tuple[str, ...] = (),
) -> Callable[[Callable[P, Iterable[Finding]]], Check[P]]:
    """Register a check under ``area.kebab-name``, stable for ever, at a step of the fix path.

    It runs once per target of the kind that its first fact comes from; ``on`` names the kind
    where the facts do not tell. ``about`` are resources of another area and step that it explains:
    while one of them is full without a known cause, the check's silence rules nothing out.
    """
    return lambda function: Check(id, step, on, function, about)


def resource(
    id: str,  # noqa: A002  the word users know
    *,
    step: Step,
    on: str = "",
) -> Callable[[Callable[P, T]], Resource[P, T]]:
    """Register what can saturate, under ``area.kebab-name``; ``on`` as for :func:`check`."""
    return lambda function: Resource(id, step, on, function)


def probe(
    *, cost: str, cadence: Cadence = Cadence.ONCE, every: float = 0.0
) -> Callable[[Callable[P, Awaitable[T]]], Probe[P, T]]:
    """Register how a fact is read; ``cost`` says what one reading costs the target.

    ``every`` is the least number of seconds between two samples, for what changes no faster.
    """
    return lambda function: Probe(cost, cadence, function, every)


def source(
    kind: str, session: type[T]
) -> Callable[
    [Callable[[Target, Redactor], AbstractAsyncContextManager[T]]],
    Source[T],
]:
    """Register how to open a session on targets of ``kind``.

    The function raises :class:`Unreachable` when the target does not let us in. A session that
    keeps the seconds of each of its requests in a list ``spent`` has its costs told exactly; of
    any other the time of each reading is taken. One that tells about a machine has all names of
    that machine in ``machines``.
    """
    return lambda function: Source(kind, session, function)


@dataclass(frozen=True, slots=True)
class Style:
    """How to draw: colour or not, columns, unicode or ASCII, and how much (-1 quiet .. 2)."""

    color: bool = False
    width: int = 80
    unicode: bool = True
    verbosity: int = 0


@dataclass(frozen=True)
class Renderer(_Documented):
    """A registered report format: a Report in, text out; pure.

    ``exits`` gives the exit code where the format's readers expect others than ours.
    """

    name: str
    function: Callable[[Report, Style], str]
    exits: Callable[[Report], int] | None = None

    def __call__(self, report: Report, style: Style) -> str:
        """Render."""
        return self.function(report, style)


def report(
    name: str, exits: Callable[[Report], int] | None = None
) -> Callable[[Callable[[Report, Style], str]], Renderer]:
    """Register a report format under the name that ``-o NAME[:PATH]`` takes."""
    return lambda function: Renderer(name, function, exits)
