"""``scaledoctor gate`` and ``scaledoctor baseline``: is this scan worse than a good one?"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaledoctor.cli import _options as opt
from scaledoctor.cli._exits import exits
from scaledoctor.errors import Exit, ScaledoctorError

if TYPE_CHECKING:
    from scaledoctor.gate import Baseline
    from scaledoctor.report import Comparison, Report
    from scaledoctor.snapshot import Snapshot

FILE = Path("scaledoctor-baseline.json")

Strict = Annotated[bool, typer.Option("--strict", help="Exit 4 when nothing can be concluded.")]
FailOn = Annotated[opt.FailOn, typer.Option(help="New findings fail from this severity on.")]
Saved = Annotated[Path, typer.Argument(metavar="SNAPSHOT", help="What collect made.")]
Base = Annotated[Path, typer.Argument(metavar="BASELINE", help="What baseline write made.")]

baseline_app = typer.Typer(
    help="Write, show and compare baselines for the gate.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@baseline_app.callback()
def baseline() -> None:
    """Write, show and compare baselines for the gate."""


@baseline_app.command()
@exits
def write(
    context: typer.Context,
    snapshot: Saved,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE")] = FILE,
    config: opt.ConfigFile = None,
    checks_dir: opt.ChecksDir = None,
) -> None:
    """Make a baseline from a good scan: a file to commit."""
    from scaledoctor import gate
    from scaledoctor.cli._output import check_writable

    check_writable(output, f"-o {output}")
    found = gate.baseline(*judged(context, snapshot, checks_dir))
    gate.write(found, output)
    sys.stderr.write(
        f"wrote {output}: {len(found.findings)} findings, {len(found.counters)} counters, "
        f"good until {found.expires}\n"
    )


@baseline_app.command()
@exits
def show(path: Base = FILE) -> None:
    """Show what a baseline holds."""
    from scaledoctor import gate
    from scaledoctor.cli._gate_table import show as draw

    draw(gate.read(path))


@baseline_app.command()
@exits
def diff(old: Base, new: Base) -> None:
    """Compare two baselines."""
    from scaledoctor import gate
    from scaledoctor.cli._gate_table import difference

    difference(gate.read(old), gate.read(new))


def gate(
    context: typer.Context,
    before: Annotated[
        Path | None,
        typer.Argument(metavar="BEFORE", help="A snapshot of collect, or a baseline."),
    ] = None,
    after: Annotated[
        Path | None, typer.Argument(metavar="AFTER", help="What collect made now.")
    ] = None,
    fail_on: FailOn = opt.FailOn.HIGH,
    strict: Strict = False,
    base_cmd: Annotated[str, typer.Option(help="Timings too: a command of the old version.")] = "",
    head_cmd: Annotated[str, typer.Option(help="The same of the new; they run in turns.")] = "",
    rounds: Annotated[int, typer.Option(max=1000, help="How often each command runs.")] = 10,
    config: opt.ConfigFile = None,
    checks_dir: opt.ChecksDir = None,
) -> int:
    """Compare a snapshot with an earlier one, or two commands; exit 5 when it is worse."""
    if base_cmd and head_cmd and before is None:
        from scaledoctor.cli._paired import run_paired

        return run_paired(base_cmd, head_cmd, rounds)
    if before is None or after is None or base_cmd or head_cmd:
        hint = "give BEFORE and AFTER, or --base-cmd and --head-cmd"
        raise ScaledoctorError("gate: nothing to compare", hint)
    from scaledoctor.cli._gate_table import draw

    base = _base(context, before, checks_dir)
    comparison = compared(base, before, *judged(context, after, checks_dir), fail_on)
    draw(comparison)
    return exit_code(comparison, strict=strict)


def exit_code(comparison: "Comparison", *, strict: bool) -> Exit:
    """5 when the gate is shut; 4 under --strict when nothing could be concluded."""
    if comparison.failed:
        return Exit.REGRESSION
    return Exit.PARTIAL if strict and comparison.incomparable else Exit.OK


def compared(
    base: "Baseline", path: Path, snapshot: "Snapshot", report: "Report", fail_on: opt.FailOn
) -> "Comparison":
    """Put a scan beside a baseline; ``--fail-on none`` leaves the counters alone to fail."""
    from scaledoctor import gate
    from scaledoctor.model import Severity

    never = Severity.CRITICAL + 1
    return gate.compare(
        base,
        path.name,
        report,
        gate.counters(snapshot),
        gate.conditions(snapshot),
        fail_on.severity or never,
    )


def judged(
    context: typer.Context, path: Path, checks_dir: list[Path] | None
) -> "tuple[Snapshot, Report]":
    """Read a snapshot and diagnose it, as ``scan --from`` does."""
    from scaledoctor.cli._plugins import loaded
    from scaledoctor.config import tuned
    from scaledoctor.diagnosis import diagnose
    from scaledoctor.snapshot import read

    registry = tuned(loaded(checks_dir), context.obj)
    snapshot = read(path, registry.facts)
    return snapshot, diagnose(snapshot, registry, context.obj.ignores)


def _base(context: typer.Context, path: Path, checks_dir: list[Path] | None) -> "Baseline":
    """A baseline as it is, or one made from a snapshot."""
    from scaledoctor import gate

    try:
        return gate.read(path)
    except ScaledoctorError as no_baseline:
        try:
            return gate.baseline(*judged(context, path, checks_dir))
        except ScaledoctorError as no_snapshot:
            both = f"neither a baseline nor a snapshot: {no_snapshot.message}"
            raise ScaledoctorError(f"{path}: {both}", no_baseline.hint) from None
