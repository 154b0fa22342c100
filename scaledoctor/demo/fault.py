"""What a fault is: the real mechanism, the right answer, and the bar for its fix."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scaledoctor.demo.shop.names import Names
from scaledoctor.demo.topology import Topology

if TYPE_CHECKING:
    from scaledoctor.demo.stage import Stage

Mix = Callable[[Names], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Pace:
    """The client load: the shop's own clients, think time and mix unless given.

    With ``quiet`` there are no clients while the scan runs.
    """

    clients: int | None = None
    think_ms: float | None = None
    mix: Mix = Names.mix
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, or a healthy control when ``checks`` is empty.

    ``story`` says in one sentence what happens; ``checks`` are the checks that may name the root,
    ``subject`` gives what the root's subject or summary must hold, and ``symptoms`` are checks
    that may fire too without being a false alarm.

    ``topology`` is what the shop is made of; ``prepare`` changes it before the healthy shop is
    measured. ``settings`` are the database server's; ``settle`` is the seconds between injection
    and scan. The fault counts as real when throughput falls to ``hurts`` of the healthy one (None:
    it costs something else). ``bar`` is the share of the healthy throughput that the report's own
    fix must bring back; None when the right fix is a change in the application, which no program
    can apply. ``window`` is the scan's seconds; ``warm`` those of load before each measurement of a
    healthy shop, for caches to fill. ``waiting`` counts jobs that wait: after the fix they must get
    fewer. ``impossible`` gives the reason why the fault cannot be made here, or nothing.
    """

    name: str
    story: str
    inject: "Callable[[Stage], AbstractContextManager[None]]"
    checks: tuple[str, ...] = ()
    subject: Callable[[Names], str] = lambda names: ""
    symptoms: tuple[str, ...] = ()
    topology: Topology = field(default_factory=Topology)
    prepare: "Callable[[Stage], None]" = lambda stage: None
    settings: Mapping[str, str | int] = field(default_factory=dict)
    pace: Pace = Pace()
    settle: float = 3.0
    window: float = 6.0
    warm: float = 0.0
    hurts: float | None = 0.8
    bar: float | None = 0.8
    waiting: "Callable[[Stage], int] | None" = None
    impossible: Callable[[], str] = lambda: ""

    @property
    def healthy(self) -> bool:
        """A control: nothing may be named."""
        return not self.checks
