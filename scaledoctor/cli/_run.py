"""Collecting, as ``scan`` and ``collect`` both do it."""

import os
from pathlib import Path

from scaledoctor.cli._output import progress
from scaledoctor.collect import collect
from scaledoctor.redact import Redactor
from scaledoctor.registry import Registry
from scaledoctor.snapshot import Snapshot, read
from scaledoctor.targets import Given, targets


def collected(
    registry: Registry,
    given: Given,
    window: float,
    saved: Path | None,
    *,
    quiet: bool,
    show_literals: bool,
) -> Snapshot:
    """Read a saved snapshot, or collect from the targets of the options or the environment."""
    if saved is not None:
        return read(saved, registry.facts)
    found = targets(given, os.environ)
    with progress(quiet=quiet) as observer:
        return collect(found, registry, Redactor(show_literals), window, observer)
