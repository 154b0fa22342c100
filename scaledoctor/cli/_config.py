"""The configuration of one command: found, read, and put below what was typed."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from scaledoctor.errors import Exit, ScaledoctorError

if TYPE_CHECKING:
    from scaledoctor.config import Config


def configured(context: typer.Context, path: Path | None) -> Path | None:
    """Read the configuration into ``context.obj``; its options are defaults of the command."""
    if context.resilient_parsing:
        return path
    try:
        config = configuration(path)
    except ScaledoctorError as error:
        typer.echo(f"scaledoctor: {error}", err=True)
        raise typer.Exit(int(Exit.USAGE)) from None
    context.obj = config
    context.default_map = {name.replace("-", "_"): value for name, value in config.scan.items()}
    return config.path


def configuration(path: Path | None) -> "Config":
    """Read the file that was named, else the nearest; without one an empty configuration.

    Raises:
        ScaledoctorError: the file cannot be read or says what nobody knows.
    """
    from scaledoctor.config import Config, find, load

    found = path or find(Path.cwd())
    return load(found, os.environ) if found else Config()
