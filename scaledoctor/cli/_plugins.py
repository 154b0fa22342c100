"""Plug-ins for a command, and a word about those that could not be loaded."""

import sys
from collections.abc import Sequence
from pathlib import Path

from scaledoctor.registry import Registry, load


def loaded(folders: Sequence[Path] | None) -> Registry:
    """Load every plug-in and warn of the broken ones on stderr; they stand in the report too.

    Raises:
        ScaledoctorError: a folder does not exist.
    """
    registry = load(tuple(folders or ()))
    for problem in registry.problems:
        sys.stderr.write(f"scaledoctor: warning: {problem.what}: {problem.error}\n")
    return registry
