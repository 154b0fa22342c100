"""``scaledoctor logs``: what SQL logs say, N+1 first."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaledoctor.cli import _options as opt
from scaledoctor.errors import Exit, ScaledoctorError
from scaledoctor.files import write_whole

if TYPE_CHECKING:
    from scaledoctor.logs.sql.draw import Told
    from scaledoctor.logs.sql.partial import Partial


class FailOn(StrEnum):
    """What makes the exit code 1."""

    NONE = "none"
    N_PLUS_ONE = "n+1"


Formats = Annotated[
    list[str] | None,
    typer.Option(
        "-o", "--output", metavar="FORMAT[:PATH]", help="terminal, markdown or json (repeatable)."
    ),
]


Paths = Annotated[
    list[str], typer.Argument(metavar="PATH...", help="Files, folders, globs; - is stdin.")
]
Since = Annotated[
    str, typer.Option(metavar="15m", help="Only the last 30s, 15m, 2h or 1d of the log.")
]
From = Annotated[str, typer.Option("--from", metavar="TIME", help="From 2026-11-25 10:00 on.")]
Until = Annotated[str, typer.Option(metavar="TIME", help="Until then.")]
Prefix = Annotated[
    str | None, typer.Option(metavar="PREFIX", help="log_line_prefix, if it is not recognised.")
]
Kept = Annotated[Path | None, typer.Option(metavar="FILE", help="Keep the sums, for --merge.")]
Merge = Annotated[bool, typer.Option("--merge", help="The paths are files that --partial made.")]


def logs(
    paths: Paths,
    since: Since = "",
    start: From = "",
    until: Until = "",
    prefix: Prefix = None,
    output: Formats = None,
    fail_on: Annotated[
        FailOn, typer.Option(help="Exit 1 for one that is no mere suspicion.")
    ] = FailOn.NONE,
    partial: Kept = None,
    merge: Merge = False,
    color: opt.ColorOption = opt.Color.AUTO,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = 0,
    show_literals: opt.ShowLiterals = False,
) -> int:
    """Read SQL logs: N+1, statements by time, errors, locks, files, connections."""
    from scaledoctor.cli._log_output import outputs, write
    from scaledoctor.cli._log_read import Asked, merged, read
    from scaledoctor.logs.sql.draw import fails

    found = outputs(output or [], partial)
    asked = Asked(tuple(paths), since, start, until, prefix, show_literals, quiet)
    result, form, notes = merged(asked) if merge else read(asked)
    if partial is not None:
        _keep(result, form, partial)
    told = _told(result, form, notes, show_literals=show_literals)
    write(told, found, color, -1 if quiet else verbose)
    failed = fail_on is FailOn.N_PLUS_ONE and fails(told)
    return Exit.FINDINGS if failed else Exit.OK


def _told(result: "Partial", form: str, notes: tuple[str, ...], *, show_literals: bool) -> "Told":
    from scaledoctor.logs.nplusone.report import repeated
    from scaledoctor.logs.sql.draw import Told
    from scaledoctor.logs.sql.summary import summary
    from scaledoctor.redact import Redactor

    redactor = Redactor(show_literals)
    log = summary(result, redactor, form)
    return Told(log, repeated(result.runs, redactor, live=False), notes)


def _keep(result: "Partial", form: str, path: Path) -> None:
    from scaledoctor.logs.sql.stored import dumps

    try:
        write_whole(path, dumps(result, form))
    except OSError as error:
        raise ScaledoctorError(f"--partial {path}: {error.strerror}") from None
    sys.stderr.write(f"wrote {path}\n")
