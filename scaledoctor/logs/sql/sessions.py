"""What belongs together in one session: parse, bind and execute; a plan and its statement."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from scaledoctor.logs.sql.calls import Call


class Kind(IntEnum):
    """What a line of the log tells about a statement."""

    PREPARE = 0
    """The duration of parse or bind: the execution is to come."""
    CALL = 1
    """An execution with its text and, mostly, its duration."""
    PLAN = 2
    """auto_explain's plan; the statement's own line may follow or not."""
    SPOKEN = 3
    """A text whose duration stands on the next line of the session."""
    BARE = 4
    """That duration."""


class Event(NamedTuple):
    """One such line.

    ``micros`` is -1 where there is no time, ``extended`` tells of a protocol with parse and bind.
    ``text`` and ``parameters`` are kept only when literals may be shown;
    ``call`` is for the N+1 detector of the part that it was read in.
    """

    kind: Kind
    template: str
    micros: int
    when: float
    extended: bool = False
    application: str = ""
    text: str = ""
    parameters: str = ""
    call: Call | None = None


Emit = Callable[[Event], None]


@dataclass(slots=True)
class State:
    """What a session's last lines leave open.

    ``last`` is the template of its last execution and ``took`` its microseconds: a plan of it
    follows only when the portal is closed, if the protocol is the extended one.
    """

    owed: int = 0
    last: bytes = b""
    took: int = -1
    plan: Event | None = None
    spoken: Event | None = None

    @property
    def clean(self) -> bool:
        """Whether nothing is open."""
        return not self.owed and not self.last and self.plan is None and self.spoken is None

    def bare(self) -> "State":
        """The same without calls, for another part of the log."""
        plan, spoken = (e and e._replace(call=None) for e in (self.plan, self.spoken))
        return State(self.owed, self.last, self.took, plan, spoken)

    def step(self, event: Event, emit: Emit) -> None:
        """Take the session's next line; emit what is complete by it."""
        match event.kind:
            case Kind.PREPARE:
                self.owed += event.micros
            case Kind.CALL:
                self.flush(emit, event)
                owed, self.owed = self.owed, 0
                if event.extended and owed and event.micros >= 0:
                    event = event._replace(micros=event.micros + owed)
                self.last, self.took = event.template.encode(), event.micros
                emit(event)
            case Kind.PLAN:
                self.flush(emit)
                known = self.took >= event.micros and self.last == event.template.encode()
                self.plan, self.last = None if known else event, b""
            case Kind.SPOKEN:
                self.flush(emit)
                self.spoken, self.owed, self.last = event, 0, b""
            case Kind.BARE:
                # Without a text before it, it is that of a parse or bind, or of a statement
                # that log_statement leaves out.
                if self.spoken is not None:
                    spoken, self.spoken = self.spoken, None
                    emit(spoken._replace(micros=event.micros, when=event.when))

    def flush(self, emit: Emit, following: Event | None = None) -> None:
        """Emit what waited for a line that did not come; a plan goes if its statement follows."""
        plan, self.plan = self.plan, None
        spoken, self.spoken = self.spoken, None
        if plan is not None and not (following and _same(plan, following)):
            emit(plan)
        if spoken is not None:
            emit(spoken)


RESETS = (Kind.CALL, Kind.SPOKEN)
"""After these a session's state no longer depends on what was before."""


def _same(plan: Event, call: Event) -> bool:
    """Whether a statement's line repeats a plan: the same template, and no less time."""
    return plan.template == call.template and call.micros >= plan.micros
