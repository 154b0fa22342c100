"""Collection: every target at once, each within its deadline, over one shared window."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from scaledoctor import __version__
from scaledoctor.errors import Unavailable, Unreachable
from scaledoctor.loop import run
from scaledoctor.needs import Shape
from scaledoctor.redact import Redactor
from scaledoctor.registry import Registry
from scaledoctor.sdk import Cadence, Probe, Source
from scaledoctor.snapshot import SCHEMA_VERSION, Cost, Failure, Record, Skip, Snapshot, surviving
from scaledoctor.targets import Reach, Target
from scaledoctor.window import Window

CONNECT_SECONDS = 6.0
"""To a usable session, retries included; libpq's own connect_timeout of 5 s comes first."""

PROBE_SECONDS = 4.0
"""One reading; above the 2 s statement_timeout, so that the server gives up before we do."""

MARGIN_SECONDS = 20.0
"""A target's whole deadline is the window plus this."""

SAMPLE_SECONDS = 0.5
"""Activity is sampled twice a second: 20 samples in the default window."""

NOT_REACHED = Reach(ok=False, seconds=0.0, category="timeout", message="not reached in time")

GIVE_UP = 3
"""Failed readings of one fact after which it is not asked for again."""

Observer = Callable[[str, str, float], None]
"""Told (target, what is being done, share 0..1) as the collection goes on."""


def collect(
    targets: Sequence[Target],
    registry: Registry,
    redactor: Redactor,
    window: float,
    observer: Observer = lambda target, doing, share: None,
) -> Snapshot:
    """Read every fact that a registered check or resource needs, once, from every target.

    ``window`` is in seconds; 0 takes one reading of everything and gives no rates.
    """
    return run(_collect(targets, registry, redactor, window, observer))


async def _collect(
    targets: Sequence[Target],
    registry: Registry,
    redactor: Redactor,
    window: float,
    observer: Observer,
) -> Snapshot:
    started, began = datetime.now(UTC), monotonic()
    wanted = wanted_probes(registry)
    visits: list[_Visit] = []
    async with asyncio.TaskGroup() as group:
        for target in targets:
            source = registry.sources.get(target.kind)
            probes = [p for p in wanted if source and p.session is source.session]
            visits.append(_Visit(target, source, probes, redactor, window, began, observer))
            group.create_task(visits[-1].run())
    return Snapshot(
        schema_version=SCHEMA_VERSION,
        version=__version__,
        started=started,
        window=window,
        seconds=round(monotonic() - began, 3),
        records=tuple(visit.record() for visit in visits),
        redactions=dict(sorted(redactor.counts.items())),
    )


def wanted_probes(registry: Registry) -> list[Probe[..., Any]]:
    """Return the probes that checks and resources need, each after the ones it needs itself."""
    ordered: list[Probe[..., Any]] = []

    def add(fact: type, above: tuple[type, ...] = ()) -> None:
        for probe in registry.probes_of(fact) if fact not in above else ():
            for need in probe.inputs:
                add(need.fact, (*above, fact))
            if probe not in ordered:
                ordered.append(probe)

    users: Iterable[Any] = (*registry.resources.values(), *registry.checks.values())
    for user in users:
        for need in user.signature.needs:
            add(need.fact)
    return ordered


def _shaped(taken: list[tuple[float, Any]] | None, shape: Shape) -> Any:
    """What a probe is handed: the latest reading, or all of them so far."""
    if not taken:
        return None
    return Window(tuple(taken)) if shape is Shape.WINDOW else taken[-1][1]


@dataclass
class _Visit:
    """One target's collection, filled as it goes, so that a deadline loses nothing."""

    target: Target
    source: Source[Any] | None
    probes: Sequence[Probe[..., Any]]
    redactor: Redactor
    window: float
    began: float
    observer: Observer
    reach: Reach = NOT_REACHED
    samples: dict[str, list[tuple[float, Any]]] = field(default_factory=dict)
    skips: list[Skip] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    costs: dict[str, list[float]] = field(default_factory=dict)

    async def run(self) -> None:
        """Visit the target; never raises but for cancellation."""
        deadline = self.window + MARGIN_SECONDS
        with surviving("collection", self.target.name, self.skips, self.failures, deadline):
            async with asyncio.timeout(deadline), AsyncExitStack() as stack:
                session = await self._open(stack)
                if self.reach.ok:
                    await self._read(session)
        self.observer(self.target.name, "done", 1.0)

    async def _open(self, stack: AsyncExitStack) -> Any:
        self.observer(self.target.name, "connecting", 0.0)
        began, port = monotonic(), self.target.local_port
        session: Any = None
        if self.source is None:
            message = f"no plug-in reads targets of kind {self.target.kind}"
            self.reach = Reach(ok=False, seconds=0.0, category="plug-in", message=message)
            return session
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                session = await stack.enter_async_context(
                    self.source.function(self.target, self.redactor)
                )
            machines: tuple[str, ...] = getattr(session, "machines", ())
            self.reach = Reach(True, monotonic() - began, local_port=port, machines=machines)
        except TimeoutError:
            message = f"no answer within {CONNECT_SECONDS:g} s"
            self.reach = Reach(False, monotonic() - began, "timeout", "", message, "", port)
        except Unreachable as no:
            text = self.redactor.text(no.message)
            took = monotonic() - began
            self.reach = Reach(False, took, no.category, no.code, text, no.enable, port)
        except Unavailable as no:
            text = self.redactor.text(no.reason)
            self.reach = Reach(False, monotonic() - began, "answer", "", text, no.enable, port)
        self.reach = replace(self.reach, machine=self.target.machine)
        return session

    async def _read(self, session: Any) -> None:
        await self._each(session, Cadence.ONCE, Cadence.EDGES)
        await self._sample([p for p in self.probes if p.cadence is Cadence.SAMPLED], session)
        if self.window > 0:
            await self._each(session, Cadence.EDGES)
        await self._each(session, Cadence.LAST)

    async def _each(self, session: Any, *cadences: Cadence) -> None:
        for probe in self.probes:
            if probe.cadence in cadences:
                self.observer(self.target.name, f"reading {probe.gives.__name__}", 0.0)
                await self._probe(probe, session)

    async def _sample(self, sampled: Sequence[Probe[..., Any]], session: Any) -> None:
        began = monotonic()
        for tick in range(int(self.window / SAMPLE_SECONDS) + 1):
            await asyncio.sleep(max(0.0, began + tick * SAMPLE_SECONDS - monotonic()))
            if tick and monotonic() - began > self.window + SAMPLE_SECONDS:
                break
            share = (monotonic() - began) / self.window if self.window else 1.0
            self.observer(self.target.name, "sampling", min(share, 1.0))
            for probe in sampled:
                if tick % max(1, round(probe.every / SAMPLE_SECONDS)) == 0:
                    await self._probe(probe, session)

    async def _probe(self, probe: Probe[..., Any], session: Any) -> None:
        name = probe.gives.__name__
        failed = sum(s.what == name for s in self.skips)
        failed += sum(f.what == name for f in self.failures)
        if failed >= (GIVE_UP if name in self.samples else 1):
            return
        arguments = self._inputs(probe)
        if arguments is None:
            return
        spent: list[float] | None = getattr(session, "spent", None)
        began, before = monotonic(), len(spent or ())
        with surviving(name, self.target.name, self.skips, self.failures, PROBE_SECONDS):
            async with asyncio.timeout(PROBE_SECONDS):
                fact = await probe(session, *arguments)
            at = round(began - self.began, 4)
            # A history is told in seconds from now; it stands for all readings of its fact.
            taken = fact.samples if isinstance(fact, Window) else ((0.0, fact),)
            self.samples.setdefault(name, []).extend(
                (round(at + ago, 4), one) for ago, one in taken
            )
        took = [monotonic() - began] if spent is None else spent[before:]
        self.costs.setdefault(name, []).extend(took)

    def _inputs(self, probe: Probe[..., Any]) -> list[Any] | None:
        arguments: list[Any] = []
        for need in probe.inputs:
            taken = self.samples.get(need.fact.__name__)
            if taken is None and not need.optional:
                why = next((s for s in self.skips if s.what == need.fact.__name__), None)
                reason = why.reason if why else f"{need.fact.__name__} could not be read"
                enable = why.enable if why else ""
                self.skips.append(Skip(probe.gives.__name__, reason, enable, self.target.name))
                return None
            arguments.append(_shaped(taken, need.shape))
        return arguments

    def record(self) -> Record:
        """Freeze what was read."""
        samples: Mapping[str, tuple[tuple[float, Any], ...]] = {
            Reach.__name__: ((0.0, self.reach),),
            **{name: tuple(taken) for name, taken in self.samples.items()},
        }
        costs = {
            name: Cost(len(s), round(sum(s), 4), round(max(s, default=0.0), 4))
            for name, s in self.costs.items()
        }
        return Record(
            name=self.target.name,
            kind=self.target.kind,
            address=self.redactor.text(self.target.address),
            named=self.target.named,
            reach=self.reach,
            samples=samples,
            skips=tuple(self.skips),
            failures=tuple(self.failures),
            costs=costs,
        )
