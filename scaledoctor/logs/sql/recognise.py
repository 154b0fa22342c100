"""Which format a SQL log has: every format reads a sample, and the one that reads most wins."""

import re
from collections.abc import Sequence

from scaledoctor.errors import Unavailable
from scaledoctor.logs.sql.csvlog import CSVLOG
from scaledoctor.logs.sql.entry import Coverage, Format, Layout
from scaledoctor.logs.sql.infer import infer
from scaledoctor.logs.sql.jsonlog import JSONLOG
from scaledoctor.logs.sql.stderr import stderr

SAMPLE = 2000
"""Lines that vote."""

UNDERSTOOD = 0.5
"""Share of lines that must be read; what describes half of a log describes none."""

KNOWN = "PostgreSQL's stderr, csvlog or jsonlog"

_BARE = re.compile(rb"duration: \d+\.\d{3} ms[\"\r\n]")
_SPOKEN = re.compile(rb"(?:LOG:  |\"|00000: )(?:statement|execute [^:\n]*): ")


def format_of(layout: Layout) -> Format:
    """How a recognised log is read."""
    if layout.name == "csvlog":
        return CSVLOG
    return JSONLOG if layout.name == "jsonlog" else stderr(layout.prefix)


def recognise(sample: Sequence[bytes], prefix: str | None = None) -> Layout:
    """Return the layout that reads most lines of a sample.

    Raises:
        Unavailable: no line at all, no text, or no format that reads half of the lines.

    """
    lines = [line for line in sample if line.strip(b"\0\r\n\t ")][-SAMPLE:]
    if not lines:
        raise Unavailable("the log is empty", "is the log written somewhere else?")
    block = b"\n".join(lines) + b"\n"
    bare = bool(_BARE.search(block) and _SPOKEN.search(block))
    layouts = [Layout("csvlog", bare=bare), Layout("jsonlog", bare=bare)]
    layouts.append(Layout("stderr", infer(lines)[0] if prefix is None else prefix, bare))
    read = [(understood(one, block), -place, one) for place, one in enumerate(layouts)]
    share, _, best = max(read)
    if share < UNDERSTOOD:
        raise Unavailable(_why(block, share), _hint(prefix))
    return best


def understood(layout: Layout, block: bytes) -> float:
    """Share of the lines of a block that a layout reads, from its first message on.

    A sample from the middle of a file may begin within a message.
    """
    how = format_of(layout)
    first = how.start.search(block)
    if first is None:
        return 0.0
    coverage = Coverage()
    count = sum(1 for _ in how.entries(block[first.start() :], coverage))
    lead = block.count(b"\n", 0, first.start())
    return coverage.understood if count and lead < coverage.lines else 0.0


def _hint(prefix: str | None) -> str:
    if prefix is not None:
        return f"is log_line_prefix really '{prefix}'? Without --prefix it is inferred"
    return f"give it {KNOWN}; for an odd log_line_prefix: --prefix '%m [%p] '"


def _why(block: bytes, share: float) -> str:
    odd = sum(byte < 32 and byte not in b"\t\n\r\x1b" for byte in block[:4096])
    if odd > 0.05 * len(block[:4096]):
        return "this is not a text file"
    return f"only {share:.0%} of its lines look like those of a SQL log"
