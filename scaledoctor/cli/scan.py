"""``scaledoctor scan``: look, then say what the bottleneck is."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from scaledoctor.cli import _options as opt
from scaledoctor.cli._watch import Watch, check_watchable, repeat
from scaledoctor.errors import Exit
from scaledoctor.report import Report, Status
from scaledoctor.targets import Given

Formats = Annotated[
    list[str] | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FORMAT[:PATH]",
        help="terminal, markdown, html, json, sarif, junit, github, gitlab, csv, nagios, "
        "prometheus, pagerduty or slack (repeatable).",
    ),
]

Saved = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE", help="Read what collect made; - is stdin."),
]

Baseline = Annotated[
    Path | None,
    typer.Option("--baseline", metavar="FILE", help="Exit 5 when this scan is worse than it."),
]

Events = Annotated[
    list[str] | None,
    typer.Option(
        "--event", metavar="TEXT", help='For the timeline: "14:02 deploy 1.8" (UTC; repeatable).'
    ),
]

Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        envvar="SCALEDOCTOR_STRICT",
        help="Exit 4 when something could not be looked at.",
    ),
]


def scan(
    context: typer.Context,
    given: Given,
    window: opt.Window = 10.0,
    config: opt.ConfigFile = None,
    saved: Saved = None,
    output: Formats = None,
    fail_on: Annotated[
        opt.FailOn,
        typer.Option(envvar="SCALEDOCTOR_FAIL_ON", help="Exit 1 from this severity on."),
    ] = opt.FailOn.NONE,
    strict: Strict = False,
    baseline: Baseline = None,
    event: Events = None,
    watch: Watch = None,
    checks_dir: opt.ChecksDir = None,
    color: opt.ColorOption = opt.Color.AUTO,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = 0,
    show_literals: opt.ShowLiterals = False,
) -> int:
    """Look at a running system and name its bottleneck."""
    from scaledoctor import gate
    from scaledoctor.cli._output import outputs, write
    from scaledoctor.cli._plugins import loaded
    from scaledoctor.cli._run import collected
    from scaledoctor.cli.gate import compared
    from scaledoctor.config import Config, tuned
    from scaledoctor.diagnosis import diagnose
    from scaledoctor.diagnosis.timeline import event as moment

    configuration: Config = context.obj
    registry = tuned(loaded(checks_dir), configuration)
    found = outputs(output or [], registry)
    base = gate.read(baseline) if baseline else None
    events = [moment(text, datetime.now(UTC)) for text in event or ()]

    def look() -> Report:
        snapshot = collected(
            registry, given, configuration, window, saved, quiet=quiet, show_literals=show_literals
        )
        report = diagnose(snapshot, registry, configuration.ignores, events)
        if base is None or baseline is None:
            return report
        limit = opt.FailOn.HIGH if fail_on is opt.FailOn.NONE else fail_on
        return replace(report, gate=compared(base, baseline, snapshot, report, limit))

    if watch is not None:
        check_watchable(found, saved=saved is not None)
        repeat(watch, look, found, color, -1 if quiet else verbose)
    report = look()
    write(report, found, color, -1 if quiet else verbose)
    theirs = [o.renderer.exits for o in found if o.renderer.exits and o.path is None]
    return theirs[0](report) if theirs else exit_code(report, fail_on, strict=strict)


def exit_code(report: Report, fail_on: opt.FailOn, *, strict: bool) -> Exit:
    """The exit code of a scan, by the table in the README."""
    named = [t for t in report.targets if t.named]
    if report.verdict.status is Status.UNKNOWN and named and not any(t.ok for t in named):
        return Exit.UNREACHABLE
    if report.gate is not None and report.gate.failed:
        return Exit.REGRESSION
    limit = fail_on.severity
    if limit is not None and any(f.severity >= limit for f in report.findings):
        return Exit.FINDINGS
    if strict and (report.skipped or report.errored or not all(t.ok for t in report.targets)):
        return Exit.PARTIAL
    return Exit.OK
