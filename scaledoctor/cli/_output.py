"""Where reports go, how wide and how coloured; progress on stderr."""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from scaledoctor.cli._exits import silence
from scaledoctor.cli._options import Color
from scaledoctor.collect import Observer
from scaledoctor.errors import ScaledoctorError
from scaledoctor.files import write_whole
from scaledoctor.registry import Registry
from scaledoctor.sdk import Renderer, Report, Style


@dataclass(frozen=True, slots=True)
class Output:
    """One ``-o FORMAT[:PATH]``; without a path it goes to stdout."""

    renderer: Renderer
    path: Path | None


def outputs(wanted: Sequence[str], registry: Registry) -> list[Output]:
    """Parse every ``-o``, before anything is looked at.

    Raises:
        ScaledoctorError: unknown format, a file that cannot be written, two reports in one place.
    """
    found: list[Output] = []
    for text in wanted or ["terminal"]:
        name, _, path = text.partition(":")
        if name not in registry.renderers:
            near = get_close_matches(name, registry.renderers, 1)
            known = ", ".join(sorted(registry.renderers))
            hint = f"did you mean {near[0]}?" if near else f"one of: {known}"
            raise ScaledoctorError(f"-o {text}: no such format {name!r}", hint)
        where = Path(path) if path and path != "-" else None
        if where is not None:
            check_writable(where, f"-o {text}")
        if where in [o.path for o in found]:
            place = f"to {where}" if where else "to stdout"
            hint = "give each a path of its own: -o json:FILE"
            raise ScaledoctorError(f"-o {text}: only one report can go {place}", hint)
        found.append(Output(registry.renderers[name], where))
    return found


def check_writable(path: Path, option: str) -> None:
    """Find out before the scan, not after it, that a file cannot be written.

    Raises:
        ScaledoctorError: no such folder, a folder itself, or no permission.
    """
    folder = path.absolute().parent
    if not folder.is_dir():
        raise ScaledoctorError(f"{option}: no such folder {path.parent}")
    if path.is_dir():
        raise ScaledoctorError(f"{option}: {path} is a folder, not a file")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise ScaledoctorError(f"{option}: no permission to write {path}")


def write(report: Report, found: Sequence[Output], color: Color, verbosity: int) -> None:
    """Render and write every report; one that cannot be written does not cost the others.

    Raises:
        ScaledoctorError: the first that could not be written.
    """
    problems: list[ScaledoctorError] = []
    for output in sorted(found, key=lambda o: o.path is None):
        to_file = Style(width=100, verbosity=max(verbosity, 1))
        text = output.renderer(report, to_file if output.path else style(color, verbosity))
        # Documents are UTF-8 everywhere; for a stdout that is not, the terminal report is ASCII.
        data = text.encode(errors="backslashreplace")
        try:
            if output.path is None:
                _to_stdout(data)
            else:
                write_whole(output.path, data)
                sys.stderr.write(f"wrote {output.path}\n")
        except OSError as error:
            where = output.path or "stdout"
            problems.append(ScaledoctorError(f"cannot write {where}: {error.strerror}"))
    for problem in problems:
        raise problem


def _to_stdout(data: bytes) -> None:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except BrokenPipeError:
        silence()  # the reader has seen enough (| head); the exit code still counts
    except OSError:
        silence()
        raise


def style(color: Color, verbosity: int) -> Style:
    """How to draw on this stdout: NO_COLOR, FORCE_COLOR, COLUMNS and TERM=dumb are honoured."""
    tty = sys.stdout.isatty()
    auto = (tty or bool(os.environ.get("FORCE_COLOR"))) and os.environ.get("TERM") != "dumb"
    wants = color is Color.ALWAYS or (
        color is Color.AUTO and auto and not os.environ.get("NO_COLOR")
    )
    columns = shutil.get_terminal_size((100, 24)).columns
    return Style(
        color=wants,
        width=max(40, min(columns, 200)),
        unicode=_takes_unicode(),
        verbosity=verbosity,
    )


def _takes_unicode() -> bool:
    """Whether stdout is UTF-8, and nobody asked for the C locale.

    There Python takes UTF-8 all the same and sets LC_CTYPE to C.UTF-8 (PEP 538, PEP 540).
    """
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    ctype = os.environ.get("LC_CTYPE", "").replace("C.UTF-8", "")
    locale = os.environ.get("LC_ALL") or ctype or os.environ.get("LANG")
    return encoding.startswith("utf") and locale not in ("C", "POSIX")


@contextmanager
def progress(*, quiet: bool) -> Iterator[Observer]:
    """Give an observer that shows each target's progress on stderr, on a terminal only."""
    if quiet or not sys.stderr.isatty() or os.environ.get("CI"):
        yield lambda target, doing, share: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[doing]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def observe(target: str, doing: str, share: float) -> None:
            if target not in tasks:
                tasks[target] = bars.add_task(escape(target), total=1.0, doing="")
            bars.update(tasks[target], completed=share, doing=doing)

        yield observe
