"""Run every resource and check on a snapshot: pure, and no crash stops the rest."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from scaledoctor.model import Finding, Use
from scaledoctor.needs import Need, Shape
from scaledoctor.registry import Registry
from scaledoctor.sdk import Check, Resource
from scaledoctor.snapshot import Failure, Record, Skip, Snapshot, surviving
from scaledoctor.targets import HERE, HOST
from scaledoctor.window import Window


@dataclass(frozen=True)
class Examination:
    """What the plug-ins said.

    ``quiet`` are the ids of checks that ran on a target which let us in and found nothing;
    ``looked`` counts, by target, the plug-ins that could look.
    """

    uses: list[Use] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    quiet: list[str] = field(default_factory=list)
    looked: Counter[str] = field(default_factory=Counter)
    skips: list[Skip] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Missing:
    reason: str
    enable: str


def examine(snapshot: Snapshot, registry: Registry) -> Examination:
    """Call each resource and check once per target that has the facts it needs."""
    result = Examination()
    plugins: tuple[Resource[..., Any] | Check[...], ...] = (
        *registry.resources.values(),
        *registry.checks.values(),
    )
    for plugin in plugins:
        records = _places(plugin, snapshot, registry)
        found = sum(_run(plugin, record, snapshot, registry, result) for record in records)
        silent = {n.what for n in result.skips} | {n.what for n in result.failures}
        looked = any(record is None or record.reach.ok for record in records)
        if isinstance(plugin, Check) and looked and not found and plugin.id not in silent:
            result.quiet.append(plugin.id)
    return result


def _places(
    plugin: Resource[..., Any] | Check[...], snapshot: Snapshot, registry: Registry
) -> list[Record | None]:
    """Where a plug-in runs: targets of its first fact's kinds; once when all needs are lists.

    Core facts have no kind: a plug-in that begins with one also sees targets not reached. Where
    targets of several kinds have a fact, one that has nothing to say of it is passed over.
    """
    needs = plugin.signature.needs
    if all(need.shape is Shape.EACH for need in needs):
        return [None]
    own = [n for n in needs if n.shape is not Shape.EACH]
    given = [registry.kinds_of(n.fact) for n in own]
    kinds = {plugin.on} if plugin.on else next((k for k in given if k), None)
    reached_only = bool(given[0])
    first = own[0].fact.__name__ if len(given[0]) > 1 and not own[0].optional else ""
    return [
        r
        for r in snapshot.records
        if (kinds is None or r.kind in kinds)
        and (r.reach.ok or not reached_only)
        and (not first or _tells(r, first))
    ]


def _tells(record: Record, name: str) -> bool:
    """Whether a target has a fact, or says why it could not be read."""
    said = {s.what for s in record.skips} | {f.what for f in record.failures}
    return name in record.samples or not said.isdisjoint((name, "collection"))


def _run(
    plugin: Resource[..., Any] | Check[...],
    record: Record | None,
    snapshot: Snapshot,
    registry: Registry,
    result: Examination,
) -> int:
    """Run one plug-in on one target; return how many findings or uses came of it."""
    where = record.name if record else ""
    arguments: list[Any] = []
    for need in plugin.signature.needs:
        value = _value(need, record, snapshot, registry)
        if isinstance(value, _Missing):
            if record and not record.reach.ok:
                return 0  # the target's own line says why
            result.skips.append(Skip(plugin.id, value.reason, value.enable, where))
            return 0
        arguments.append(value)
    before = len(result.findings) + len(result.uses)
    notes = len(result.skips) + len(result.failures)
    with surviving(plugin.id, where, result.skips, result.failures):
        given = plugin.function(*arguments)
        several: Iterable[Any] = given if isinstance(given, Iterable) else [given]
        for item in several:
            if item is not None:
                _keep(plugin, _placed(item, record), where, result)
    result.looked[where] += notes == len(result.skips) + len(result.failures)
    return len(result.findings) + len(result.uses) - before


def _placed(item: Any, record: Record | None) -> Any:
    """A finding about another machine says which one it is."""
    names = record.reach.machines if record else ()
    if isinstance(item, Finding) and names and HERE not in names:
        return replace(item, summary=f"{names[0]}: {item.summary}")
    return item


def _keep(
    plugin: Resource[..., Any] | Check[...], item: Any, where: str, result: Examination
) -> None:
    if isinstance(item, Finding):
        finding = replace(item, target=where, check=plugin.id)
        result.findings.append(replace(finding, step=plugin.step, title=plugin.title))
    elif isinstance(item, Use):
        use = replace(item, target=where, resource=plugin.id)
        result.uses.append(replace(use, step=plugin.step, title=plugin.title))
    else:
        raise TypeError(f"{plugin.id} gave a {type(item).__name__}")


def _value(
    need: Need, record: Record | None, snapshot: Snapshot, registry: Registry
) -> Any | _Missing:
    name = need.fact.__name__
    holders = [r for r in snapshot.records if name in r.samples]
    if need.shape is Shape.EACH:
        return [r.samples[name][-1][1] for r in holders]
    holder = record if record and name in record.samples else None
    kinds = registry.kinds_of(need.fact)
    if holder is None and record and kinds and record.kind not in kinds:
        holder = _elsewhere(record, snapshot, holders, HOST.kind in kinds)
    if holder is not None:
        samples = holder.samples[name]
        return Window(samples) if need.shape is Shape.WINDOW else samples[-1][1]
    if need.optional:
        return None
    return _why(name, record)


def _elsewhere(
    record: Record, snapshot: Snapshot, holders: Sequence[Record], of_machine: bool
) -> Record | None:
    """Whose fact a target of another kind is given: the only one that has it.

    A fact of a machine is that of the machine that the target runs on, if somebody tells about
    it, else of ours: the check looks whether the target runs here.
    """
    name = record.reach.machine
    mine = [r for r in snapshot.records if name and name in r.reach.machines]
    if any(HERE in r.reach.machines for r in mine):
        mine = [r for r in snapshot.records if HERE in r.reach.machines]
    if of_machine and mine:
        holders = [r for r in mine[:1] if r in holders]
    else:
        holders = [r for r in holders if not r.reach.machines or HERE in r.reach.machines]
    return holders[0] if len(holders) == 1 else None


def _why(name: str, record: Record | None) -> _Missing:
    notes: Mapping[str, Skip] = {s.what: s for s in record.skips} if record else {}
    if name in notes:
        return _Missing(notes[name].reason, notes[name].enable)
    if record and any(f.what == name for f in record.failures):
        return _Missing(f"reading {name} failed", "")
    return _Missing(f"no {name} was collected", "")
