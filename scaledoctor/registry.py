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
    """All plug-ins by their names; ``problems`` are providers and plug-ins that failed to load."""

    sources: dict[str, Source[Any]] = field(default_factory=dict)
    probes: dict[str, Probe[..., Any]] = field(default_factory=dict)
    resources: dict[str, Resource[..., Any]] = field(default_factory=dict)
    checks: dict[str, Check[...]] = field(default_factory=dict)
    renderers: dict[str, Renderer] = field(default_factory=dict)
    problems: list[Failure] = field(default_factory=list)

    @property
    def facts(self) -> Mapping[str, type]:
        """Fact classes by name, for reading snapshots."""
        given = {name: probe.gives for name, probe in self.probes.items()}
        return {**given, Reach.__name__: Reach}

    def kind_of(self, fact: type) -> str | None:
        """Which kind of target gives this fact; None for core facts."""
        probe = self.probes.get(fact.__name__)
        if probe is None or probe.gives is not fact:
            return None
        return next((s.kind for s in self.sources.values() if s.session is probe.session), None)


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
            _once(registry.probes, item.gives.__name__, item)
        case Resource():
            _complete(item)
            _once(registry.resources, item.id, item)
        case Check():
            _complete(item)
            _once(registry.checks, item.id, item)
        case Renderer():
            _once(registry.renderers, item.name, item)


def _complete(item: "Resource[..., Any] | Check[...]") -> None:
    if not item.title:
        raise TypeError(f"{item.id}: no docstring")
    if not item.signature.needs:
        raise TypeError(f"{item.id}: needs no fact")


def _once(table: dict[str, T], key: str, item: T) -> None:
    if key in table:
        raise TypeError(f"{key!r} is defined twice")
    table[key] = item
