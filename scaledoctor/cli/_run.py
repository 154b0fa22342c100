"""Collecting, as ``scan`` and ``collect`` both do it."""

import os
import sys
from pathlib import Path

from scaledoctor.cli._output import progress
from scaledoctor.collect import collect
from scaledoctor.errors import ScaledoctorError
from scaledoctor.redact import Redactor
from scaledoctor.registry import Registry
from scaledoctor.snapshot import Snapshot, loads, read
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
        if clash := next((name for name, values in given.items() if values), ""):
            raise ScaledoctorError(f"--from reads a saved snapshot: --{clash} has no use beside it")
        if str(saved) == "-":
            return loads(sys.stdin.buffer.read(), registry.facts, "stdin")
        return read(saved, registry.facts)
    found = targets(given, os.environ)
    with progress(quiet=quiet) as observer:
        return collect(found, registry, Redactor(show_literals), window, observer)
