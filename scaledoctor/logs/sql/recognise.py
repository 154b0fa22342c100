"""Which format a SQL log has: every format reads a sample, and the one that reads most wins."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from scaledoctor.errors import Unavailable
from scaledoctor.logs.readers import Stamp
from scaledoctor.logs.sql.apps import APPS, app, votes
from scaledoctor.logs.sql.csvlog import CSVLOG
from scaledoctor.logs.sql.entry import Coverage, Entry, Format, Layout, lines_in
from scaledoctor.logs.sql.infer import infer
from scaledoctor.logs.sql.jsonlog import JSONLOG
from scaledoctor.logs.sql.otlp import OTLP
from scaledoctor.logs.sql.pooler import POOLER
from scaledoctor.logs.sql.stderr import stderr
from scaledoctor.logs.sql.wrappers import WRAPPERS, Wrapper

SAMPLE = 2000
"""Lines that vote."""

UNDERSTOOD = 0.5
"""Share of lines that must be read; what describes half of a log describes none."""

KNOWN = (
    "PostgreSQL's log (stderr, csvlog, jsonlog, syslog, or as clouds and collectors wrap it) "
    "or an ORM's"
)

_NAMED = {"csvlog": CSVLOG, "jsonlog": JSONLOG, "OpenTelemetry spans": OTLP, "PgBouncer": POOLER}
_FEWEST, _STATEMENTS = 3, 0.02
"""Statements that make a log one of an application, and their share of its lines: the rest may be
anything that an application says."""

_DEPTH = 2
"""Wrappers around each other: a Kubernetes node writes what an operator writes."""

_BARE = re.compile(rb"duration: \d+\.\d{3} ms[\"\r\n]")
_SPOKEN = re.compile(rb"(?:LOG:  |\"|00000: )(?:statement|execute [^:\n]*): ")


def format_of(layout: Layout) -> Format:
    """How a recognised log is read."""
    if layout.wrappers:
        return _wrapped(layout)
    if layout.name in APPS:
        return app(layout.name)
    return _NAMED[layout.name] if layout.name in _NAMED else stderr(layout.prefix)


def _wrapped(layout: Layout) -> Format:
    """The format within, read from what the wrapper leaves."""
    inner = format_of(replace(layout, wrappers=layout.wrappers[1:]))
    wrapper = WRAPPERS[layout.wrappers[0]]

    def entries(block: bytes, coverage: Coverage) -> Iterator[Entry]:
        within = Coverage()
        lines, unread = wrapper.unwrap(block)
        yield from inner.entries(lines, within)
        coverage.lines += lines_in(block)
        coverage.unread += min(lines_in(block), unread + within.unread)

    start = wrapper.start(inner.start)
    return Format(start, entries, _stamp(inner, wrapper))


def _stamp(inner: Format, wrapper: Wrapper) -> Stamp:
    return lambda line: inner.stamp(wrapper.unwrap(line)[0])


def recognise(sample: Sequence[bytes], prefix: str | None = None) -> Layout:
    """Return the layout that reads most lines of a sample.

    Raises:
        Unavailable: no line at all, no text, or no format that reads half of the lines.

    """
    lines = [line for line in sample if line.strip(b"\0\r\n\t ")][-SAMPLE:]
    if not lines:
        raise Unavailable("the log is empty", "is the log written somewhere else?")
    block = b"\n".join(lines) + b"\n"
    share, best = _best(lines, prefix, _DEPTH)
    if share < UNDERSTOOD or best is None:
        raise Unavailable(_why(block, share), _hint(prefix))
    return best


def _best(lines: Sequence[bytes], prefix: str | None, depth: int) -> tuple[float, Layout | None]:
    """The layout that reads most, and its share; a wrapper is looked into where one fits."""
    block = b"\n".join(lines) + b"\n"
    for name, wrapper in WRAPPERS.items() if depth else ():
        head = re.compile(b"^(?:%s)" % wrapper.head, re.M)
        if sum(1 for _ in head.finditer(block)) < UNDERSTOOD * len(lines):
            continue
        within = [line for line in wrapper.unwrap(block)[0].split(b"\n") if line.strip()]
        share, found = _best(within, prefix, depth - 1) if within else (0.0, None)
        if found is not None and share >= UNDERSTOOD:
            return share, replace(found, wrappers=(name, *found.wrappers))
    bare = bool(_BARE.search(block) and _SPOKEN.search(block))
    layouts = [Layout(name, bare=bare) for name in _NAMED]
    share, best = max(((understood(one, block), one) for one in layouts), key=lambda one: one[0])
    if share < UNDERSTOOD:
        text = Layout("stderr", infer(lines)[0] if prefix is None else prefix, bare)
        share, best = understood(text, block), text
    if share < UNDERSTOOD:
        return _application(block, len(lines)) or (share, best)
    return share, best


def _application(block: bytes, lines: int) -> tuple[float, Layout] | None:
    """The application's log that has most statements, if it has some."""
    most, name = max((votes(name, block), name) for name in APPS)
    return (1.0, Layout(name)) if most >= max(_FEWEST, lines * _STATEMENTS) else None


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
