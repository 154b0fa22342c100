"""``scaledoctor collect``: record everything now, judge it elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from scaledoctor.cli import _options as opt
from scaledoctor.errors import Exit, ScaledoctorError
from scaledoctor.targets import Given


def collect(
    given: Given,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where to.")],
    window: opt.Window = 10.0,
    checks_dir: opt.ChecksDir = None,
    quiet: opt.Quiet = False,
    show_literals: opt.ShowLiterals = False,
) -> int:
    """Record a snapshot for ``scan --from``; secrets and literals are masked before storing."""
    import sys

    from scaledoctor.cli._run import collected
    from scaledoctor.registry import load
    from scaledoctor.snapshot import dumps

    if not output.absolute().parent.is_dir():
        raise ScaledoctorError(f"-o {output}: no such folder {output.parent}")
    registry = load(tuple(checks_dir or ()))
    snapshot = collected(registry, given, window, None, quiet=quiet, show_literals=show_literals)
    try:
        output.write_bytes(dumps(snapshot))
    except OSError as error:
        raise ScaledoctorError(f"{output}: {error.strerror}") from None
    masked = sum(snapshot.redactions.values())
    sys.stderr.write(f"wrote {output}: {len(snapshot.records)} targets, {masked} values masked\n")
    named = [r for r in snapshot.records if r.named]
    return Exit.UNREACHABLE if named and not any(r.reach.ok for r in named) else Exit.OK
