"""Log files as blocks of whole lines, in bounded memory: plain from either end, packed from one."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from scaledoctor.errors import Unreachable
from scaledoctor.logs.packing import Damaged, Packing, packing

BLOCK = 1 << 20
"""Bytes that are held at once, and after which a reader may stop."""

LONGEST = 1 << 16
"""Bytes of one line that are kept; nginx and HAProxy cut theirs long before."""

_USUAL = 1 << 12

Stamp = Callable[[bytes], float | None]
"""The time of one line as seconds since 1970, None when it has none."""


@dataclass(frozen=True, slots=True)
class Log:
    """An open file; a plain one can be read from anywhere, a packed one from its start alone."""

    path: Path
    file: IO[bytes]
    packing: Packing

    @property
    def size(self) -> int:
        """Bytes on disk now, without a last line that is still being written."""
        return whole(self.file, os.fstat(self.file.fileno()).st_size)

    @property
    def moved(self) -> bool:
        """Whether the path now names another file: the log was rotated."""
        try:
            there, here = self.path.stat(), os.fstat(self.file.fileno())
        except OSError:
            return False
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)


def open_log(path: Path) -> Log:
    """Open a file and recognise by its first bytes how it is packed.

    Raises:
        Unreachable: it cannot be opened or read.

    """
    try:
        with ExitStack() as stack:
            file = stack.enter_context(path.open("rb", buffering=0))
            how = packing(read_at(file, 0, 8))
            stack.pop_all()
    except OSError as error:
        enable = f"let this user read it: setfacl -m u:$USER:r {path}"
        denied = isinstance(error, PermissionError)
        category = "denied" if denied else "missing"
        raise Unreachable(category, f"{error.strerror}", "", enable if denied else "") from None
    return Log(path, file, how)


def read_at(file: IO[bytes], start: int, size: int) -> bytes:
    """Read without moving anything; fewer bytes than asked for at the end of the file."""
    return os.pread(file.fileno(), size, start)


def whole(file: IO[bytes], end: int) -> int:
    """Move an end back behind the last line break; a file without any break is one line."""
    start = max(0, end - LONGEST)
    cut = read_at(file, start, end - start).rfind(b"\n") + 1
    return start + cut if cut else end


def lines(file: IO[bytes], start: int, end: int) -> bytes:
    """Return the lines that begin in ``start <= offset < end``, the last one to its end."""
    before = max(0, start - 1)
    data = read_at(file, before, end - before)
    if start:
        cut = data.find(b"\n") + 1
        data = data[cut:] if cut else b""
    if data and not data.endswith(b"\n"):
        data += _rest(file, end)
    return data


def _rest(file: IO[bytes], start: int) -> bytes:
    """From the middle of a line to its end, of a short line in one short read."""
    for size in (_USUAL, LONGEST):
        rest = read_at(file, start, size)
        if cut := rest.find(b"\n") + 1:
            return rest[:cut]
    return rest


def backwards(file: IO[bytes], start: int, end: int, size: int = BLOCK) -> Iterator[bytes]:
    """Blocks of the lines that begin in a range, the newest block first."""
    while end > start:
        begin = max(start, end - size)
        if data := lines(file, begin, end):
            yield data
        end = begin


def gathered(chunks: Iterator[bytes], size: int = BLOCK) -> Iterator[bytes]:
    """Blocks of whole lines, oldest first, of a stream; of a line above LONGEST the middle goes.

    Raises:
        Damaged: as the stream does, after the lines before that.

    """
    kept: list[bytes] = []
    held = 0
    try:
        for chunk in chunks:
            kept.append(chunk)
            held += len(chunk)
            if held < size:
                continue
            data = b"".join(kept)
            if cut := data.rfind(b"\n") + 1:
                yield data[:cut]
            rest = data[cut:][:LONGEST]
            kept, held = [rest], len(rest)
    except Damaged:
        data = b"".join(kept)
        if cut := data.rfind(b"\n") + 1:
            yield data[:cut]
        raise
    if data := b"".join(kept):
        yield data


def find_time(file: IO[bytes], when: float, stamp: Stamp, start: int, end: int) -> int:
    """Bisect for where the lines of ``when`` and later begin; ``end`` when all are older.

    Some 20 reads of a few kilobytes. Lines without a time are passed over; where the order is
    broken for a moment, as with requests that end late, so is the answer.
    """
    low, high = start, end
    while high - low > _NEAR:
        middle = (low + high) // 2
        seen = _first_time(file, middle, high, stamp)
        if seen is None or seen >= when:
            high = middle
        else:
            low = middle
    return _first_since(file, when, stamp, low, min(end, high + LONGEST))


_NEAR = 1 << 14
"""Bytes below which lines are looked at one by one."""


def _first_time(file: IO[bytes], start: int, end: int, stamp: Stamp) -> float | None:
    """The time of the first line with one that begins in the range; looks at a megabyte."""
    for begin in range(start, min(end, start + BLOCK), _NEAR):
        for line in lines(file, begin, min(end, begin + _NEAR)).splitlines():
            if (seen := stamp(line)) is not None:
                return seen
    return None


def _first_since(file: IO[bytes], when: float, stamp: Stamp, start: int, end: int) -> int:
    """The offset of the first line of ``when`` or later in a short range, else its end."""
    data = lines(file, start, end)
    offset = end if not data else _offset(file, start)
    for line in data.splitlines(keepends=True):
        if (stamp(line) or 0.0) >= when:
            return offset
        offset += len(line)
    return min(offset, end)


def _offset(file: IO[bytes], start: int) -> int:
    """Where the first line that begins at or after ``start`` begins."""
    if not start:
        return 0
    return start + read_at(file, start - 1, LONGEST).find(b"\n")
