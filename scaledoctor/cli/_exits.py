"""How a command ends: an error becomes one line, a result an exit code."""

import functools
import os
import sys
from collections.abc import Callable
from typing import ParamSpec

import typer

from scaledoctor.errors import Exit, ScaledoctorError

P = ParamSpec("P")


def exits(command: Callable[P, int | None]) -> Callable[P, None]:
    """Wrap a command: what it returns, or the error it raises, is the process's exit code."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = command(*args, **kwargs) or Exit.OK
        except ScaledoctorError as error:
            typer.echo(f"scaledoctor: {error}", err=True)
            code = error.code
        except KeyboardInterrupt:
            typer.echo("scaledoctor: interrupted", err=True)
            code = Exit.INTERRUPTED
        except BrokenPipeError:
            # The reader of our output is gone (| head): nothing left to say, and nowhere to.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = Exit.OK
        raise typer.Exit(int(code))

    return run
