"""``scan --watch``: the same scan again and again, and what changed since the one before."""

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from scaledoctor.errors import ScaledoctorError
from scaledoctor.report import Change, Headroom, Report, Turn

if TYPE_CHECKING:
    from scaledoctor.cli._options import Color
    from scaledoctor.cli._output import Output

MOVED = 0.05
"""Share of a resource's limit below which its use has not changed: two windows of a steady load
differ by some hundredths (our own choice)."""

LONGEST = 200
"""Characters of a line of what changed; the report below has all of it."""

_INK = re.compile("\x1b\\[[0-9;]*m")


def _apart(seconds: float | None) -> float | None:
    if seconds is not None and not isfinite(seconds):
        raise typer.BadParameter("not a number of seconds")
    return seconds


Watch = Annotated[
    float | None,
    typer.Option(
        "--watch",
        metavar="SECONDS",
        min=1,
        max=86400,
        callback=_apart,
        help="Scan again and again, this long apart, and tell what changed.",
    ),
]


def check_watchable(found: Sequence["Output"], *, saved: bool) -> None:
    """Find out before the first scan that there is nothing to watch, or nowhere to.

    Raises:
        ScaledoctorError: a saved snapshot never changes; reports in files alone are not seen.
    """
    if saved:
        raise ScaledoctorError("--watch looks again and again: --from reads one saved snapshot")
    if all(output.path is not None for output in found):
        hint = "add -o terminal, or leave --watch out"
        raise ScaledoctorError("--watch shows reports on stdout: all of these go to files", hint)


def repeat(
    seconds: float,
    look: Callable[[], Report],
    found: Sequence["Output"],
    color: "Color",
    verbosity: int,
) -> NoReturn:
    """Look, draw, wait; until Ctrl-C, or until the reader of a pipe goes away."""
    from scaledoctor.cli._output import style, write

    (shown,) = (output.renderer for output in found if output.path is None)
    in_place = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    before: Report | None = None
    while True:
        report = look()
        write(report, [output for output in found if output.path is not None], color, verbosity)
        text = shown(report, style(color, verbosity))
        if shown.name == "terminal":
            changes = "\n".join(told(before, report))
            text = f"{changes}\n{text}\n"
        _print(_screen(text, f"again in {seconds:g} s; Ctrl-C ends") if in_place else text)
        before = report
        time.sleep(seconds)


def _print(text: str) -> None:
    sys.stdout.buffer.write(text.encode(errors="backslashreplace"))
    sys.stdout.flush()


def _screen(text: str, status: str) -> str:
    """What fits on the screen, from its top; progress of the next scan is drawn below it."""
    columns, rows = shutil.get_terminal_size()
    kept = list(fitting(text.rstrip("\n").split("\n"), columns, rows - 5))
    hidden = text.rstrip("\n").count("\n") + 1 - len(kept)
    more = f"{hidden} more lines: a higher window, or -q; " if hidden else ""
    return "\x1b[H\x1b[2J" + "\n".join((*kept, f"({more}{status})")) + "\n"


def fitting(lines: Sequence[str], columns: int, rows: int) -> Iterator[str]:
    """The first lines that take ``rows`` at most, as wide ones take several."""
    for line in lines:
        rows -= max(1, -(-len(_INK.sub("", line)) // columns))
        if rows < 0:
            return
        yield line


def told(before: Report | None, after: Report) -> Iterator[str]:
    """When it was, and what is not as it was in the scan before."""
    from scaledoctor.cli._gate_table import lines

    at = f"{after.started:%H:%M:%S} UTC"
    if before is None:
        yield f"{at}: the first scan"
        return
    changes = since(before, after)
    head = f"{at}, since {before.started:%H:%M:%S}: "
    yield head + ("what changed" if changes else "nothing changed")
    for change in changes:
        yield from (line[:LONGEST] for line in lines(change))


def since(before: Report, after: Report) -> list[Change]:
    """The verdict, findings by their fingerprints, how full resources are; what is new first."""
    turns = list(Turn)
    found = [*_findings(before, after), *_uses(before, after)]
    return [*_verdict(before, after), *sorted(found, key=lambda c: turns.index(c.turn))]


def _verdict(before: Report, after: Report) -> Iterator[Change]:
    old, new = before.verdict, after.verdict
    if (old.status, old.finding) != (new.status, new.finding):
        yield Change("verdict", Turn.NEW, old.status.value, f"{new.status.value}: {new.sentence}")


def _findings(before: Report, after: Report) -> Iterator[Change]:
    old = {finding.fingerprint: finding for finding in before.findings}
    new = {finding.fingerprint: finding for finding in after.findings}
    for key, now in new.items():
        was, grade = old.get(key), now.severity.name.lower()
        if was is None:
            yield Change(f"{now.check}: {now.summary}", Turn.NEW, "not there", grade)
        elif was.severity != now.severity:
            turn = Turn.WORSE if now.severity > was.severity else Turn.BETTER
            yield Change(f"{now.check}: {now.subject}", turn, was.severity.name.lower(), grade)
    for key, was in old.items():
        if key not in new:
            what, grade = f"{was.check}: {was.subject}", was.severity.name.lower()
            yield Change(what, Turn.GONE, grade, "not there")


def _uses(before: Report, after: Report) -> Iterator[Change]:
    """Resources in both scans that are in another state, or fuller or emptier by ``MOVED``."""
    old = {(row.target, row.resource): row for row in before.headroom}
    for now in after.headroom:
        was = old.get((now.target, now.resource))
        if was is None:
            continue
        grown = (now.utilization or 0.0) - (was.utilization or 0.0)
        if was.state is not now.state or abs(grown) >= MOVED:
            turn = Turn.WORSE if grown > 0 else Turn.BETTER
            yield Change(f"{now.resource} on {now.target}", turn, _full(was), _full(now))


def _full(row: Headroom) -> str:
    share = f"{row.utilization:.0%} " if row.utilization is not None else ""
    return f"{share}{row.state.value}"
