"""A log in blocks of whole messages, each read on its own: by any number of processes."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from scaledoctor.logs.nplusone.runs import Runs
from scaledoctor.logs.sql.entry import Coverage, Layout
from scaledoctor.logs.sql.partial import Partial
from scaledoctor.logs.sql.recognise import format_of
from scaledoctor.logs.sql.tally import Tally
from scaledoctor.logs.sql.templates import Templates

BLOCK = 8 << 20
"""Bytes that are read at once; a message of more is cut."""

Between = tuple[float, float]
"""From when on and until when, in seconds since 1970."""

_KEPT = 1 << 17
_NEAR = 1 << 16


def analyze_chunk(
    block: bytes,
    layout: Layout,
    templates: Templates | None = None,
    *,
    literals: bool = False,
    between: Between | None = None,
) -> Partial:
    """What a block of whole messages says, those of a span of time alone if one is given."""
    templates = templates or Templates()
    runs = Runs(templates.names, show=literals)
    tally = Tally(templates, runs.feed, literals=literals, bare=layout.bare)
    coverage = Coverage()
    entries = format_of(layout).entries(block, coverage)
    if between is not None:
        low, high = between
        entries = (entry for entry in entries if low <= entry.when < high)
    tally.add(entries)
    partial = tally.finished()
    partial.lines, partial.unread, partial.bytes = coverage.lines, coverage.unread, len(block)
    # The names are this process's; what is summed up needs them no more.
    partial.runs = replace(runs.settle(), names=[], roles={})
    return partial


def blocks(pieces: Iterable[bytes], start: re.Pattern[bytes], size: int = BLOCK) -> Iterator[bytes]:
    """Cut a stream where messages begin; of a message above ``size`` only the head is kept."""
    kept: list[bytes] = []
    held, skipping = 0, False
    for piece in pieces:
        kept.append(piece)
        held += len(piece)
        if held < size:
            continue
        data = b"".join(kept)
        if skipping:
            begin = _first(data, start)
            skipping = begin is None
            data = data[-_NEAR:] if begin is None else data[begin:]
        cut = None if skipping else last_start(data, start)
        if cut is not None:
            yield data[:cut]
            data = data[cut:]
        elif not skipping and len(data) >= size:
            yield data[:_KEPT] + b"\n"
            skipping = True
            data = data[-_NEAR:]
        kept, held = [data], len(data)
    data = b"".join(kept)
    if skipping:
        begin = _first(data, start)
        data = b"" if begin is None else data[begin:]
    if data:
        yield data


def last_start(data: bytes, start: re.Pattern[bytes]) -> int | None:
    """Where the last message of a block begins that is not its first."""
    reach = _NEAR
    while True:
        begin = max(0, len(data) - reach)
        found = [m.start() for m in start.finditer(data, begin) if m.start()]
        if found:
            return found[-1]
        if not begin:
            return None
        reach *= 8


def _first(data: bytes, start: re.Pattern[bytes]) -> int | None:
    found = start.search(data, 1)
    return found.start() if found else None
