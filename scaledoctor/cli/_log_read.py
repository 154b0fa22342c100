"""Reading logs for the command line: which span, how far, how fast."""

import re
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scaledoctor.errors import Exit, ScaledoctorError, Unavailable
from scaledoctor.logs.packing import Damaged
from scaledoctor.logs.sql.inputs import Input, inputs, narrow, newest
from scaledoctor.logs.sql.partial import Partial
from scaledoctor.logs.sql.recognise import KNOWN, UNDERSTOOD
from scaledoctor.logs.sql.work import Progress
from scaledoctor.logs.sql.work import read as read_all

_AGO = re.compile(r"(\d{1,9})\s*(s|m|min|h|d)")
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says."""

    paths: tuple[str, ...]
    since: str = ""
    start: str = ""
    until: str = ""
    prefix: str | None = None
    literals: bool = False
    quiet: bool = False


Result = tuple[Partial, str, tuple[str, ...]]
"""A finished partial, the format's name, and what was left out."""


def read(asked: Asked) -> Result:
    """Read logs.

    Raises:
        ScaledoctorError: no log, a bad time, or less than half of the lines understood.

    """
    notes: list[str] = []
    ago = _ago(asked.since)
    begin, end = _time("--from", asked.start), _time("--until", asked.until)
    if ago and begin is not None:
        raise ScaledoctorError("--since and --from: give one of them")
    with ExitStack() as stack:
        found = inputs(asked.paths, asked.prefix, notes.append)
        for one in found:
            stack.callback(one.file.close)
        return _read(found, asked, (ago, begin, end)), _form(found), tuple(notes)


def _read(
    found: Sequence[Input], asked: Asked, span: tuple[int, float | None, float | None]
) -> Partial:
    ago, begin, end = span
    low, high = begin or 0.0, float("inf") if end is None else end
    if ago:
        last = newest(found)
        low = (min(high, time.time() if last is None else last)) - ago
    narrow(found, low, high)
    between = (low, high) if low > 0 or end is not None else None
    with _progress(found, quiet=asked.quiet) as progress:
        try:
            total = read_all(found, literals=asked.literals, between=between, progress=progress)
        except BrokenProcessPool:
            hint = "does the kernel's log tell of killed processes? Each needs some 100 MB"
            raise ScaledoctorError("a process that reads the log was killed", hint) from None
        except (Damaged, Unavailable) as error:
            hint = error.enable if isinstance(error, Unavailable) else "copy it again"
            raise ScaledoctorError(str(error), hint, Exit.UNREACHABLE) from None
    _check(total, found)
    if between is not None and not total.entries:
        raise ScaledoctorError("no message of the log is of that time", code=Exit.UNREACHABLE)
    return total


def merged(asked: Asked) -> Result:
    """Join the sums of other hosts or days, the earliest first, each once.

    Raises:
        ScaledoctorError: one that is none, or a span of time, which sums do not have any more.

    """
    from scaledoctor.logs.sql.stored import load

    if asked.since or asked.start or asked.until:
        hint = "give --since, --from and --until where --partial is made"
        raise ScaledoctorError("--merge: sums cannot be cut to a span of time", hint)
    total = Partial(whole=True)
    forms: list[str] = []
    files = dict.fromkeys(Path(path).resolve() for path in asked.paths)
    parts = [load(file, literals=asked.literals) for file in files]
    for part, form in sorted(parts, key=lambda one: one[0].first):
        total.merge(part)
        forms.append(form)
    total.finish()
    return total, ", ".join(dict.fromkeys(forms)), ()


def _check(total: Partial, found: Sequence[Input]) -> None:
    """An empty report of a log that was not understood would be taken for a good one."""
    if total.lines and total.understood < UNDERSTOOD:
        names = ", ".join(one.name for one in found[:3])
        raise ScaledoctorError(
            f"{names}: only {total.understood:.0%} of {total.lines:,} lines were understood",
            f"give it {KNOWN}",
            Exit.UNREACHABLE,
        )


def _form(found: Sequence[Input]) -> str:
    return "; ".join(dict.fromkeys(one.layout.shown for one in found))


def _ago(text: str) -> int:
    if not text:
        return 0
    parts = _AGO.fullmatch(text.strip())
    if parts is None:
        raise ScaledoctorError(f"--since {text}: not a length of time", "30s, 15m, 2h or 1d")
    return int(parts[1]) * _UNITS[parts[2]]


def _time(option: str, text: str) -> float | None:
    """A time on the log's own clock, unless it has a zone."""
    if not text:
        return None
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        hint = "write it as 2026-11-25 10:00"
        raise ScaledoctorError(f"{option} {text}: not a time", hint) from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


@contextmanager
def _progress(found: Sequence[Input], *, quiet: bool) -> Iterator[Progress]:
    """Show share, rate and time left on stderr, on a terminal only."""
    if quiet or not sys.stderr.isatty():
        yield lambda size: None
        return
    whole = sum(one.end - one.start for one in found if one.plain)
    streams = not all(one.plain for one in found)
    began, done = time.monotonic(), 0

    def progress(size: int) -> None:
        nonlocal done
        done += size
        rate = done / max(1e-3, time.monotonic() - began)
        left = "" if streams else f", {max(0, whole - done) / rate:,.0f} s left"
        share = "" if streams else f"{done / max(1, whole):4.0%} "
        sys.stderr.write(f"\r{share}{done / 1e6:,.0f} MB, {rate / 1e6:,.0f} MB/s{left}\x1b[K")
        sys.stderr.flush()

    try:
        yield progress
    finally:
        if done:
            sys.stderr.write("\r\x1b[K")
