"""``scaledoctor collect``: record everything now, judge it elsewhere."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from scaledoctor.cli import _options as opt
from scaledoctor.errors import Exit, ScaledoctorError
from scaledoctor.targets import Given


def collect(
    context: typer.Context,
    given: Given,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Where to; - is stdout.")
    ],
    window: opt.Window = 10.0,
    config: opt.ConfigFile = None,
    checks_dir: opt.ChecksDir = None,
    quiet: opt.Quiet = False,
    show_literals: opt.ShowLiterals = False,
) -> int:
    """Record a snapshot for ``scan --from``; secrets and literals are masked before storing."""
    from scaledoctor.cli._output import check_writable
    from scaledoctor.cli._plugins import loaded
    from scaledoctor.cli._run import collected
    from scaledoctor.files import write_whole
    from scaledoctor.snapshot import dumps

    place = "stdout" if str(output) == "-" else str(output)
    if place != "stdout":
        check_writable(output, f"-o {output}")
    registry = loaded(checks_dir)
    snapshot = collected(
        registry, given, context.obj, window, None, quiet=quiet, show_literals=show_literals
    )
    try:
        if place == "stdout":
            sys.stdout.buffer.write(dumps(snapshot))
            sys.stdout.flush()
        else:
            write_whole(output, dumps(snapshot))
    except OSError as error:
        raise ScaledoctorError(f"cannot write {place}: {error.strerror}") from None
    masked = sum(snapshot.redactions.values())
    sys.stderr.write(f"wrote {place}: {len(snapshot.records)} targets, {masked} values masked\n")
    named = [r for r in snapshot.records if r.named]
    return Exit.UNREACHABLE if named and not any(r.reach.ok for r in named) else Exit.OK
