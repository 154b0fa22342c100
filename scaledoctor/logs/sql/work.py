"""Reading whole logs on all cores: parts of some megabytes, merged in their order."""

import os
import re
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from scaledoctor.logs.packing import Damaged
from scaledoctor.logs.readers import read_at
from scaledoctor.logs.sql.chunks import BLOCK, Between, analyze_chunk, blocks
from scaledoctor.logs.sql.entry import Layout
from scaledoctor.logs.sql.inputs import PIECE, Input, spread
from scaledoctor.logs.sql.partial import Partial
from scaledoctor.logs.sql.recognise import format_of
from scaledoctor.logs.sql.templates import Templates

PART = 4 * BLOCK
"""Bytes of a plain file that one task reads."""

ALONE = PART
"""Bytes below which starting processes costs more than it gains."""

Progress = Callable[[int], None]
"""Told how many bytes more were read."""

_TEMPLATES = Templates()


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a plain file from one message to another, or a block of a stream."""

    layout: Layout
    literals: bool
    between: Between | None
    path: str = ""
    start: int = 0
    end: int = 0
    block: bytes = b""


def work(part: Part) -> Partial:
    """Read one part; templates are remembered from one to the next."""
    if part.block:
        return _analyzed(part, part.block)
    total = Partial()
    with Path(part.path).open("rb") as file:
        pieces = spread(file, part.start, part.end)
        for block in blocks(pieces, format_of(part.layout).start):
            total.merge(_analyzed(part, block))
    return total


def _analyzed(part: Part, block: bytes) -> Partial:
    return analyze_chunk(
        block, part.layout, _TEMPLATES, literals=part.literals, between=part.between
    )


def read(
    found: Sequence[Input],
    *,
    literals: bool = False,
    between: Between | None = None,
    workers: int = 0,
    progress: Progress = lambda size: None,
) -> Partial:
    """Read logs in their order; ``workers`` 0 is one for each core.

    Raises:
        Damaged: a packed file is cut or corrupt.
        Unavailable: a packed file needs a library.

    """
    total = Partial(whole=True)
    size = sum(one.end - one.start if one.plain else ALONE for one in found)
    workers = workers or os.cpu_count() or 1
    if size < ALONE or workers == 1:
        for part in _parts(found, literals, between):
            _take(total, work(part), progress)
    else:
        _in_processes(total, _parts(found, literals, between), workers, progress)
    total.finish()
    return total


def _in_processes(total: Partial, parts: Iterator[Part], workers: int, progress: Progress) -> None:
    """Keep every process busy with one part waiting; take the results in order."""
    from multiprocessing import get_context

    # No thread of ours runs yet; a forked process need not import what we have.
    how = get_context("fork" if sys.platform == "linux" else "spawn")
    waiting: deque[Future[Partial]] = deque()
    with ExitStack() as stack:
        pool = ProcessPoolExecutor(workers, mp_context=how, initializer=_quietly)
        stack.callback(pool.shutdown, cancel_futures=True)
        for part in parts:
            waiting.append(pool.submit(work, part))
            if len(waiting) > 2 * workers:
                _take(total, waiting.popleft().result(), progress)
        while waiting:
            _take(total, waiting.popleft().result(), progress)


def _quietly() -> None:
    """Ctrl-C is the parent's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _take(total: Partial, partial: Partial, progress: Progress) -> None:
    size = partial.bytes
    total.merge(partial)
    progress(size)


def _parts(found: Sequence[Input], literals: bool, between: Between | None) -> Iterator[Part]:
    for one in found:
        if one.plain:
            for start, end in pairwise(_edges(one)):
                yield Part(one.layout, literals, between, one.name, start, end)
            continue
        try:
            for block in blocks(one.pieces(), format_of(one.layout).start):
                yield Part(one.layout, literals, between, block=block)
        except Damaged as error:
            raise Damaged(f"{one.name} is cut or damaged: {error}") from None


def _edges(one: Input) -> Iterator[int]:
    """Where parts begin: at a message near each multiple of the size."""
    start = format_of(one.layout).start
    yield one.start
    at = one.start + PART
    while at < one.end:
        place = _message_from(one, at, start)
        if place is None:
            break
        yield place
        at = place + PART
    if one.end > one.start:
        yield one.end


def _message_from(one: Input, at: int, start: re.Pattern[bytes]) -> int | None:
    """The offset of the first message behind an offset; None when there is no more."""
    for begin in range(at, one.end, PIECE - (1 << 16)):
        data = read_at(one.file, begin, min(PIECE, one.end - begin))
        for found in start.finditer(data):
            if found.start():
                return begin + found.start()
    return None
