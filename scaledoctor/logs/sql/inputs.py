"""What is to be read: files, folders, globs and standard input, in the order of time."""

import glob
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import IO

from scaledoctor.errors import Exit, ScaledoctorError, Unavailable, Unreachable
from scaledoctor.logs.packing import Damaged, Packing, packing, unpacked
from scaledoctor.logs.readers import Log, find_time, open_log, read_at
from scaledoctor.logs.sql.entry import Layout
from scaledoctor.logs.sql.recognise import format_of, recognise

SAMPLE = 1 << 18
"""Bytes from each end of a file by which its format is recognised."""

PIECE = 1 << 20
_MODES = (".json", ".csv", ".log")
"""Names that the logging collector gives to one log in three formats, the fullest first."""


@dataclass(slots=True)
class Input:
    """One recognised log; ``head`` is what of a stream was read already.

    ``start`` and ``end`` are the part of a plain file that is to be read.
    """

    name: str
    file: IO[bytes]
    packing: Packing
    layout: Layout
    first: float
    start: int = 0
    end: int = 0
    head: list[bytes] = field(default_factory=list)

    @property
    def plain(self) -> bool:
        """Whether it can be read from anywhere."""
        return self.packing is Packing.PLAIN and not self.head

    def pieces(self) -> Iterator[bytes]:
        """The bytes of a stream, unpacked, or of the part of a plain file.

        Raises:
            Damaged: the file is cut or corrupt.
            Unavailable: a library is missing.

        """
        if self.packing is not Packing.PLAIN:
            return unpacked(self.file, self.packing)
        if not self.head:
            return spread(self.file, self.start, self.end)
        return chain(self.head, iter(lambda: self.file.read(PIECE), b""))


def spread(file: IO[bytes], start: int, end: int) -> Iterator[bytes]:
    """A part of a plain file, a megabyte at a time."""
    for at in range(start, end, PIECE):
        yield read_at(file, at, min(PIECE, end - at))


Notice = Callable[[str], None]
"""Says on stderr what is left out."""


def inputs(paths: Sequence[str], prefix: str | None, notice: Notice) -> list[Input]:
    """Open and recognise every log, the oldest first.

    A file of a folder or glob that is no SQL log is left out with a notice.

    Raises:
        ScaledoctorError: a path that names nothing, or no log at all that can be read.

    """
    found: list[Input] = []
    problems: list[str] = []
    for path, meant in _expanded(paths, notice):
        try:
            found.append(_stdin(prefix) if path is None else recognised(path, prefix))
        except (Unavailable, Unreachable, Damaged) as error:
            what = f"{path or 'stdin'}: {_reason(error)}"
            if meant:
                raise ScaledoctorError(what, _enable(error), Exit.UNREACHABLE) from None
            problems.append(what)
    for problem in problems:
        notice(f"left out {problem}")
    if not found:
        raise ScaledoctorError("no SQL log in " + ", ".join(paths), code=Exit.UNREACHABLE)
    return sorted(found, key=lambda one: one.first)


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, Unavailable) else str(error)


def _enable(error: Exception) -> str:
    return error.enable if isinstance(error, Unavailable | Unreachable) else "copy it again"


def _expanded(paths: Sequence[str], notice: Notice) -> Iterator[tuple[Path | None, bool]]:
    """Every file once, and whether it was named itself; None is stdin."""
    seen: set[Path] = set()
    for text in paths:
        if text == "-":
            yield None, True
            continue
        names = [text] if Path(text).exists() else sorted(glob.glob(text, recursive=True))
        if not names:
            raise ScaledoctorError(f"{text}: no such file", "give files, folders, globs or -")
        files = list(chain.from_iterable(_files(Path(name)) for name in names))
        named = Path(text).is_file()
        for file in files if named else _once(files, notice):
            if file.resolve() not in seen:
                seen.add(file.resolve())
                yield file, named


def _files(path: Path) -> Iterable[Path]:
    if not path.is_dir():
        return [path]
    return sorted(f for f in path.iterdir() if f.is_file() and not f.name.startswith("."))


def _once(files: Sequence[Path], notice: Notice) -> Iterator[Path]:
    """Leave out the same log in another format, as log_destination = 'stderr,csvlog' writes it."""
    together = {f for f in files if f.suffix in _MODES}
    for file in files:
        better = _MODES[: _MODES.index(file.suffix)] if file in together else ()
        twin = next((t for s in better if (t := file.with_suffix(s)) in together), None)
        if twin is None:
            yield file
        else:
            notice(f"left out {file}: {twin.name} is the same log")


def recognised(path: Path, prefix: str | None) -> Input:
    """Open a file and recognise its format.

    Raises:
        Unavailable: no format reads it, or a library is missing to unpack it.
        Unreachable: it cannot be opened.

    """
    log = open_log(path)
    with ExitStack() as stack:
        stack.callback(log.file.close)
        found = _recognised(log, prefix)
        stack.pop_all()
    return found


def _recognised(log: Log, prefix: str | None) -> Input:
    path = log.path
    if log.packing is Packing.PLAIN:
        size = log.size
        sample = read_at(log.file, 0, SAMPLE)
        if size > SAMPLE:
            sample += read_at(log.file, max(SAMPLE, size - SAMPLE), SAMPLE)
        layout = recognise(sample.splitlines(), prefix)
        return Input(str(path), log.file, log.packing, layout, _first(sample, layout), 0, size)
    sample = b""
    try:
        for chunk in unpacked(log.file, log.packing):
            sample += chunk
            if len(sample) >= 2 * SAMPLE:
                break
    except Damaged as error:
        if not sample:
            raise Damaged(f"cut or damaged: {error}") from None
    layout = recognise(sample.splitlines(), prefix)
    return Input(str(path), log.file, log.packing, layout, _first(sample, layout))


def _stdin(prefix: str | None) -> Input:
    """Standard input, packed or not; a pipe cannot be read twice, so its head is kept."""
    stream = sys.stdin.buffer
    head = b""
    while len(head) < 2 * SAMPLE and (more := stream.read(2 * SAMPLE - len(head))):
        head += more
    how = packing(head[:8])
    if how is not Packing.PLAIN:
        name = f"stdin is packed ({how})"
        raise Unavailable(name, "give the file itself, or unpack it before the pipe")
    layout = recognise(head.splitlines(), prefix)
    assert isinstance(stream, BufferedReader)
    return Input("stdin", stream, how, layout, _first(head, layout), head=[head])


def _first(sample: bytes, layout: Layout) -> float:
    """The time of the first message, 0 when there is none."""
    stamp = format_of(layout).stamp
    return next((t for line in sample.splitlines() if (t := stamp(line)) is not None), 0.0)


def newest(found: Sequence[Input]) -> float | None:
    """The time of the last message of the plain files; None without any."""
    times: list[float] = []
    for one in (i for i in found if i.plain):
        stamp = format_of(one.layout).stamp
        tail = read_at(one.file, max(0, one.end - SAMPLE), SAMPLE).splitlines()
        times += [t for line in reversed(tail) if (t := stamp(line)) is not None][:1]
    return max(times, default=None)


def narrow(found: Sequence[Input], since: float, until: float) -> None:
    """Move the ends of plain files to a span of time, by bisection."""
    for one in (i for i in found if i.plain):
        stamp = format_of(one.layout).stamp
        if until < float("inf"):
            one.end = find_time(one.file, until, stamp, 0, one.end)
        if since > 0:
            one.start = find_time(one.file, since, stamp, 0, one.end)
