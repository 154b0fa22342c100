"""``scaledoctor config``: what holds here, and where it comes from."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaledoctor.cli._config import configuration
from scaledoctor.cli._exits import exits

if TYPE_CHECKING:
    from scaledoctor.config import Config

config_app = typer.Typer(
    help="Show the configuration that holds here.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@config_app.callback()
def config() -> None:
    """Show the configuration that holds here."""


@config_app.command()
@exits
def show(
    path: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", envvar="SCALEDOCTOR_CONFIG", help="As for scan."),
    ] = None,
    origin: Annotated[
        bool, typer.Option("--origin", help="Say where each value comes from.")
    ] = False,
) -> None:
    """Show every value that differs from its default; targets without their secrets."""
    found = configuration(path)
    typer.echo(f"# {found.path or 'no configuration file'}")
    for key, value, where in values(found):
        typer.echo(f"{key} = {value}" + (f"  # {where}" if origin else ""))


def values(config: "Config") -> Iterator[tuple[str, str, str]]:
    """Give key, value as TOML writes it, and origin, in the order of the file's sections."""
    from scaledoctor.cli._run import merged, variable
    from scaledoctor.config.read import SCAN
    from scaledoctor.targets import targets

    file = str(config.path)
    for name in SCAN:
        twin = variable(name)
        if twin in os.environ:
            yield f"scan.{name}", repr(os.environ[twin]), f"environment: {twin}"
        elif name in config.scan:
            yield f"scan.{name}", _toml(config.scan[name]), file
    for option, given in merged({}, config, os.environ).items():
        twin = variable(option)
        where = f"environment: {twin}" if os.environ.get(twin, "").strip() else file
        for target in targets({option: given}, {}, config.names)[1:] if given else ():
            yield f"targets.{option}", _toml(f"{target.name} at {target.address}"), where
    for check, thresholds in config.thresholds.items():
        for name, value in thresholds.items():
            yield f'thresholds."{check}".{name}', _toml(value), file
    for ignore in config.ignores:
        until = f" until {ignore.until}" if ignore.until else ""
        yield "ignore", _toml(f"{ignore.check}{until}: {ignore.reason}"), file


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, int | float) else f'"{value}"'
