"""Find plug-ins: ours, installed providers', and explicit local folders of check files."""

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from scaledoctor.errors import ScaledoctorError
from scaledoctor.sdk import Check, Probe, Reach, Renderer, Resource, Source
from scaledoctor.snapshot import Failure, surviving

T = TypeVar("T")

Plugin = Source[Any] | Probe[..., Any] | Resource[..., Any] | Check[...] | Renderer

GROUPS = ("scaledoctor.sources", "scaledoctor.checks", "scaledoctor.reports")


@dataclass(frozen=True)
class Registry:
    """All plug-ins by their names; ``problems`` are providers and plug-ins that failed to load.

    A fact may be read from several kinds of targets: a probe is known by both, as
    "Activity of PostgresSession".
    """

    sources: dict[str, Source[Any]] = field(default_factory=dict)
    probes: dict[str, Probe[..., Any]] = field(default_factory=dict)
    resources: dict[str, Resource[..., Any]] = field(default_factory=dict)
    checks: dict[str, Check[...]] = field(default_factory=dict)
    renderers: dict[str, Renderer] = field(default_factory=dict)
    problems: list[Failure] = field(default_factory=list)

    @property
    def facts(self) -> Mapping[str, type]:
        """Fact classes by name, for reading snapshots."""
        given = {probe.gives.__name__: probe.gives for probe in self.probes.values()}
        return {**given, Reach.__name__: Reach}

    def probes_of(self, fact: type) -> list[Probe[..., Any]]:
        """Every way to read a fact, one for each kind of target that has it."""
        return [probe for probe in self.probes.values() if probe.gives is fact]

    def kinds_of(self, fact: type) -> frozenset[str]:
        """Which kinds of targets give this fact; empty for core facts."""
        sessions = [probe.session for probe in self.probes_of(fact)]
        return frozenset(s.kind for s in self.sources.values() if s.session in sessions)


def load(checks_dirs: tuple[Path, ...] = (), groups: tuple[str, ...] = GROUPS) -> Registry:
    """Load every provider of ``groups`` and every ``*.py`` of the local folders.

    A provider that fails is reported in ``problems`` and survived. Local folders are only ever
    the ones given here: Python found in the working directory is never run on its own.

    Raises:
        ScaledoctorError: a local folder does not exist.
    """
    registry = Registry()
    for group in groups:
        for entry in sorted(entry_points(group=group), key=lambda e: (e.name != "builtin", e.name)):
            with surviving(f"plug-in {entry.name} ({entry.value})", "", [], registry.problems):
                for module in _walk(entry.load()):
                    _register(registry, module)
    for folder in checks_dirs:
        if not folder.is_dir():
            raise ScaledoctorError(f"--checks-dir {folder}: no such folder")
        for path in sorted(folder.glob("*.py")):
            with surviving(f"check file {path}", "", [], registry.problems):
                _register(registry, _load_file(path))
    return registry


def _walk(package: ModuleType) -> Iterator[ModuleType]:
    """Yield the package and its public modules, importing each."""
    yield package
    for info in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{package.__name__}."):
        if not info.name.rpartition(".")[2].startswith("_"):
            yield importlib.import_module(info.name)


def _load_file(path: Path) -> ModuleType:
    name = f"_scaledoctor_local_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"not a Python file: {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except SystemExit as end:
        raise ImportError(f"it is a program, not a plug-in: it exits with {end.code}") from None
    return module


def _register(registry: Registry, module: ModuleType) -> None:
    for item in vars(module).values():
        if (
            isinstance(item, Source | Probe | Resource | Check | Renderer)
            and item.module == module.__name__
        ):
            where = f"{module.__name__}.{item.function.__name__}"
            with surviving(f"plug-in {where}", "", [], registry.problems):
                _add(registry, item)


def _add(registry: Registry, item: Plugin) -> None:
    match item:
        case Source():
            _once(registry.sources, item.kind, item)
        case Probe():
            _one_class(registry, item.gives)
            _once(registry.probes, f"{item.gives.__name__} of {item.session.__name__}", item)
        case Resource():
            _complete(item)
            _once(registry.resources, item.id, item)
        case Check():
            _complete(item)
            _once(registry.checks, item.id, item)
        case Renderer():
            _once(registry.renderers, item.name, item)


def _one_class(registry: Registry, fact: type) -> None:
    """A fact's name is its key in a snapshot: two classes of one name cannot be told apart."""
    if registry.facts.get(fact.__name__, fact) is not fact:
        raise TypeError(f"{fact.__name__!r} is another plug-in's fact")


def _complete(item: "Resource[..., Any] | Check[...]") -> None:
    if not item.title:
        raise TypeError(f"{item.id}: no docstring")
    if not item.signature.needs:
        raise TypeError(f"{item.id}: needs no fact")


def _once(table: dict[str, T], key: str, item: T) -> None:
    if key in table:
        raise TypeError(f"{key!r} is defined twice")
    table[key] = item
