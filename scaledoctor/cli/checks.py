"""``scaledoctor checks``: the catalogue."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaledoctor.cli import _options as opt
from scaledoctor.cli._exits import exits
from scaledoctor.errors import Exit, ScaledoctorError

if TYPE_CHECKING:
    from scaledoctor.registry import Registry
    from scaledoctor.sdk import Check, Resource

checks_app = typer.Typer(
    help="List the checks and resources, or show one.",
    rich_markup_mode=None,
    invoke_without_command=True,
)


@checks_app.callback()
def checks(context: typer.Context, checks_dir: opt.ChecksDir = None) -> None:
    """List the checks and resources, or show one."""
    context.obj = tuple(checks_dir or ())
    if context.invoked_subcommand is None:
        list_(context)


@checks_app.command("list")
@exits
def list_(context: typer.Context) -> None:
    """List every check and resource with its step of the fix path."""
    _print_list(context.obj)


@checks_app.command()
@exits
def show(
    context: typer.Context,
    check: Annotated[str, typer.Argument(metavar="ID", help="As printed by checks list.")],
) -> None:
    """Show one check: why, how it is measured, the fix, its thresholds and what it reads."""
    from difflib import get_close_matches

    from scaledoctor.cli._plugins import loaded

    registry = loaded(context.obj)
    plugins = _plugins(registry)
    if check not in plugins:
        near = get_close_matches(check, plugins, 1)
        hint = f"did you mean {near[0]}?" if near else "see: scaledoctor checks list"
        raise ScaledoctorError(f"no check {check!r}", hint)
    plugin = plugins[check]
    typer.echo(f"{plugin.id}  (step {plugin.step.value}: {step_name(plugin)})\n\n{plugin.doc}\n")
    if plugin.signature.options:
        typer.echo("Thresholds:")
        for name, default in plugin.signature.options.items():
            typer.echo(f"  {name} = {default}")
    typer.echo("Reads:")
    for need in plugin.signature.needs:
        cost = "".join(f": {probe.cost}" for probe in registry.probes_of(need.fact))
        optional = " (optional)" if need.optional else ""
        typer.echo(f"  {need.fact.__name__}{optional}{cost}")


def step_name(plugin: "Check[...] | Resource[..., Any]") -> str:
    """The step in words: "scale out"."""
    return plugin.step.name.lower().replace("_", " ")


def _plugins(registry: "Registry") -> "dict[str, Check[...] | Resource[..., Any]]":
    return {**registry.resources, **registry.checks}


def _print_list(folders: tuple[Path, ...]) -> None:
    from scaledoctor.cli._plugins import loaded

    registry = loaded(folders)
    plugins = sorted(_plugins(registry).values(), key=lambda p: (p.step, p.id))
    width = max((len(p.id) for p in plugins), default=0)
    for plugin in plugins:
        kind = "resource" if plugin.id in registry.resources else "check"
        step = f"{plugin.step.value} {step_name(plugin)}"
        typer.echo(f"{step:11}  {kind:8}  {plugin.id:{width}}  {plugin.title}")
    if not registry.checks:
        raise ScaledoctorError("no checks are installed", "install scaledoctor again", Exit.USAGE)
