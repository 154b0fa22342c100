"""How a command ends: an error becomes one line, a result an exit code."""

import errno
import functools
import os
import sys
from collections.abc import Callable
from typing import ParamSpec

import typer

from scaledoctor.errors import Exit, ScaledoctorError

P = ParamSpec("P")

_UNWRITABLE = {errno.EPIPE: Exit.OK, errno.ENOSPC: Exit.USAGE}
"""What it means for stdout: its reader has seen enough (``| head``), the disk is full."""


def exits(command: Callable[P, int | None]) -> Callable[P, None]:
    """Wrap a command: what it returns, or the error it raises, is the process's exit code."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        _open_streams()
        try:
            code = command(*args, **kwargs) or Exit.OK
        except ScaledoctorError as error:
            typer.echo(f"scaledoctor: {error}", err=True)
            code = error.code
        except KeyboardInterrupt:
            typer.echo("scaledoctor: interrupted", err=True)
            code = Exit.INTERRUPTED
        except OSError as error:
            if error.errno not in _UNWRITABLE:
                raise
            silence()
            code = _UNWRITABLE[error.errno]
            if code is not Exit.OK:
                typer.echo(f"scaledoctor: cannot write: {error.strerror}", err=True)
        raise typer.Exit(int(code))

    return run


def silence() -> None:
    """Send what is still buffered for stdout nowhere: it cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_streams() -> None:
    """Take a stream that the caller closed (``>&-``) for the null device."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  until we end
