"""The application and its commands."""

import os
import sys
from typing import Annotated

import typer

from scaledoctor import __version__
from scaledoctor.cli._exits import exits
from scaledoctor.cli._targets import takes_targets
from scaledoctor.cli.checks import checks_app
from scaledoctor.cli.collect import collect
from scaledoctor.cli.config import config_app
from scaledoctor.cli.demo import demo
from scaledoctor.cli.explain import explain
from scaledoctor.cli.gate import baseline_app, gate
from scaledoctor.cli.init import init
from scaledoctor.cli.logs import logs
from scaledoctor.cli.scan import scan
from scaledoctor.errors import Exit
from scaledoctor.snapshot import Failure, Skip, surviving

app = typer.Typer(
    name="scaledoctor",
    help="Names the bottleneck of a running backend, proves it, and walks you through the fix.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(exits(takes_targets(scan)))
app.command()(exits(takes_targets(collect)))
app.command()(exits(explain))
app.command()(exits(demo))
app.command()(exits(gate))
app.command()(exits(init))
app.command()(exits(logs))
app.add_typer(checks_app, name="checks")
app.add_typer(baseline_app, name="baseline")
app.add_typer(config_app, name="config")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"scaledoctor {__version__} (Python {sys.version.split()[0]})")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Names the bottleneck of a running backend, proves it, and walks you through the fix."""


def main() -> None:
    """Run a command; every exit code is one of the table in the README."""
    skips: list[Skip] = []
    failures: list[Failure] = []
    with surviving("scaledoctor", "", skips, failures):
        app(prog_name="scaledoctor")
    failures += [Failure(skip.what, skip.reason) for skip in skips]
    for failure in failures:
        # The traceback is for a bug report, so it is there when asked for.
        details = failure.traceback if "SCALEDOCTOR_TRACEBACK" in os.environ else ""
        hint = "a defect of ours; set SCALEDOCTOR_TRACEBACK=1 for the details of a bug report"
        typer.echo(f"{details}scaledoctor: internal error: {failure.error} ({hint})", err=True)
    sys.exit(Exit.INTERNAL)
