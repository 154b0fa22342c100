"""Where reports go, how wide and how coloured; progress on stderr."""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from scaledoctor.cli._options import Color
from scaledoctor.collect import Observer
from scaledoctor.errors import ScaledoctorError
from scaledoctor.registry import Registry
from scaledoctor.sdk import Renderer, Report, Style


@dataclass(frozen=True, slots=True)
class Output:
    """One ``-o FORMAT[:PATH]``; without a path it goes to stdout."""

    renderer: Renderer
    path: Path | None


def outputs(wanted: Sequence[str], registry: Registry) -> list[Output]:
    """Parse every ``-o``.

    Raises:
        ScaledoctorError: unknown format, a folder that does not exist, two reports on stdout.
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
        if where is not None and not where.absolute().parent.is_dir():
            raise ScaledoctorError(f"-o {text}: no such folder {where.parent}")
        found.append(Output(registry.renderers[name], where))
    if sum(o.path is None for o in found) > 1:
        raise ScaledoctorError("-o: only one report can go to stdout", "give a path: -o json:FILE")
    return found


def write(report: Report, found: Sequence[Output], color: Color, verbosity: int) -> None:
    """Render and write every report, files first, so that stdout never hides a failed file."""
    for output in sorted(found, key=lambda o: o.path is None):
        if output.path is None:
            sys.stdout.write(output.renderer(report, style(color, verbosity)))
            sys.stdout.flush()
            continue
        text = output.renderer(report, Style(width=100, verbosity=max(verbosity, 1)))
        try:
            output.path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ScaledoctorError(f"{output.path}: {error.strerror}") from None
        sys.stderr.write(f"wrote {output.path}\n")


def style(color: Color, verbosity: int) -> Style:
    """How to draw on this stdout: NO_COLOR, FORCE_COLOR, COLUMNS and TERM=dumb are honoured."""
    tty = sys.stdout.isatty()
    auto = (tty or bool(os.environ.get("FORCE_COLOR"))) and os.environ.get("TERM") != "dumb"
    wants = color is Color.ALWAYS or (
        color is Color.AUTO and auto and not os.environ.get("NO_COLOR")
    )
    columns = shutil.get_terminal_size((100, 24)).columns
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    return Style(
        color=wants,
        width=max(40, min(columns, 200)),
        unicode=encoding.startswith("utf"),
        verbosity=verbosity,
    )


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
