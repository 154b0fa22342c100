"""Where reports on logs go."""

import sys
from collections.abc import Sequence
from pathlib import Path

from scaledoctor.cli._exits import silence
from scaledoctor.cli._options import Color
from scaledoctor.cli._output import check_writable, style
from scaledoctor.errors import ScaledoctorError
from scaledoctor.files import write_whole
from scaledoctor.logs.sql.documents import RENDERERS
from scaledoctor.logs.sql.draw import Told
from scaledoctor.sdk import Style

Output = tuple[str, Path | None]
"""A format, and a file; without one it goes to stdout."""


def outputs(wanted: Sequence[str], partial: Path | None) -> list[Output]:
    """Parse every ``-o``, before anything is read.

    Raises:
        ScaledoctorError: unknown format, a file that cannot be written, two reports in one place.

    """
    found: list[Output] = []
    for text in wanted or ["terminal"]:
        name, _, path = text.partition(":")
        if name not in RENDERERS:
            hint = f"one of: {', '.join(RENDERERS)}"
            raise ScaledoctorError(f"-o {text}: no such format {name!r}", hint)
        where = Path(path) if path and path != "-" else None
        if where is not None:
            check_writable(where, f"-o {text}")
        if where in [o[1] for o in found]:
            hint = "give each a path of its own: -o json:FILE"
            raise ScaledoctorError(f"-o {text}: only one report can go there", hint)
        found.append((name, where))
    if partial is not None:
        check_writable(partial, "--partial")
    return found


def write(told: Told, found: Sequence[Output], color: Color, verbosity: int) -> None:
    """Render and write every report.

    Raises:
        ScaledoctorError: one that cannot be written.

    """
    for name, path in sorted(found, key=lambda o: o[1] is None):
        drawn = style(color, verbosity) if path is None else Style(width=100, verbosity=1)
        data = RENDERERS[name](told, drawn).encode(errors="backslashreplace")
        try:
            if path is not None:
                write_whole(path, data)
                sys.stderr.write(f"wrote {path}\n")
                continue
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
        except BrokenPipeError:
            silence()  # the reader has seen enough (| head); the exit code still counts
        except OSError as error:
            raise ScaledoctorError(f"cannot write {path or 'stdout'}: {error.strerror}") from None
