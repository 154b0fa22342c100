"""Collecting, as ``scan`` and ``collect`` both do it."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from scaledoctor.cli._output import progress
from scaledoctor.collect import collect
from scaledoctor.config import Config
from scaledoctor.errors import ScaledoctorError
from scaledoctor.redact import Redactor
from scaledoctor.registry import Registry
from scaledoctor.snapshot import Snapshot, loads, read
from scaledoctor.targets import OPTIONS, Given, targets

_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]+@|\bpassword\s*=\s*\S", re.I)


def collected(
    registry: Registry,
    given: Given,
    config: Config,
    window: float,
    saved: Path | None,
    *,
    quiet: bool,
    show_literals: bool,
) -> Snapshot:
    """Read a saved snapshot, or collect from the targets that were named anywhere.

    Of each kind those on the command line, else in ``SCALEDOCTOR_*`` (one a line), else in the
    configuration; a database also in DATABASE_URL or PG*.
    """
    if saved is not None:
        if clash := next((name for name, values in given.items() if values), ""):
            raise ScaledoctorError(f"--from reads a saved snapshot: --{clash} has no use beside it")
        if str(saved) == "-":
            return loads(sys.stdin.buffer.read(), registry.facts, "stdin")
        return read(saved, registry.facts)
    found = targets(merged(given, config, os.environ), os.environ, config.names)
    warn_of_passwords(given)
    for note in filter(None, (target.note for target in found)):
        sys.stderr.write(f"scaledoctor: note: {note}\n")
    with progress(quiet=quiet) as observer:
        return collect(found, registry, Redactor(show_literals), window, observer)


def merged(given: Given, config: Config, environment: Mapping[str, str]) -> Given:
    """Return the values of every target option, the command line's first."""
    found: dict[str, Sequence[str]] = {}
    for option in OPTIONS:
        lines = environment.get(variable(option.name), "").splitlines()
        own, from_file = given.get(option.name, ()), config.targets.get(option.name, ())
        found[option.name] = own or [line for line in lines if line.strip()] or from_file
    return found


def variable(option: str) -> str:
    """Return the environment's twin of an option: SCALEDOCTOR_PGBOUNCER_INI."""
    return f"SCALEDOCTOR_{option.upper().replace('-', '_')}"


def warn_of_passwords(given: Given) -> None:
    """Say on stderr that a command line is visible to every user of the machine."""
    for option, values in given.items():
        if any(_PASSWORD.search(value) for value in values):
            sys.stderr.write(
                f"scaledoctor: warning: --{option} holds a password, and ps shows it to others "
                f"(keep it in {variable(option)} or a file: --config)\n"
            )
