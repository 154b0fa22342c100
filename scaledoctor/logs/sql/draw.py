"""What a SQL log says, for a terminal."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scaledoctor.logs.nplusone.judging import MEDIUM_GAP, Grade, Pattern
from scaledoctor.logs.nplusone.report import Repeated, RepeatedQueries
from scaledoctor.logs.sql.remedy import remedies, worth_telling
from scaledoctor.logs.sql.summary import Ran, Slow, SqlLog
from scaledoctor.logs.sql.units import bar, inert, moment, plural, size, sparkline, time
from scaledoctor.sdk import Style

TOP = 15
"""Statements that are shown; all of the kept ones with -v."""

LABEL = 12
"""Columns of the names that stand before what the server says of itself."""

WIDE = 76
"""Columns of the whole table of times; on less it has neither bars nor medians."""

SUSPECTED = "suspected"
_GRADES = {Grade.LOW: SUSPECTED, Grade.MEDIUM: "likely", Grade.HIGH: "sure"}


@dataclass(frozen=True, slots=True)
class Told:
    """All that is drawn; ``notes`` say what was left out."""

    log: SqlLog
    repeated: RepeatedQueries
    notes: tuple[str, ...] = ()


def terminal(told: Told, style: Style) -> str:
    """Plain text; what stands in the log can do nothing to a terminal."""
    sheet = Sheet(style)
    sections = (
        ("", _headline(told, sheet)),
        ("Repeated statements (N+1)", _repeats(told.repeated, sheet)),
        ("Statements by total time", _statements(told.log, sheet)),
        ("Slowest executions", _slowest(told.log, sheet)),
        ("Errors and warnings", _problems(told.log, sheet)),
        ("Server", _server(told.log, sheet)),
        ("Over time", _over_time(told.log, sheet)),
        ("Notes", iter(told.notes)),
    )
    lines: list[str] = []
    for title, body in sections if style.verbosity >= 0 else sections[:2]:
        if found := list(body):
            lines += ["", sheet.title(title), *found] if title else found
    return "\n".join(line.rstrip() for line in lines) + "\n"


@dataclass(frozen=True, slots=True)
class Sheet:
    """How text is fitted and marked."""

    style: Style

    @property
    def many(self) -> int:
        """Rows of a table."""
        return 50 if self.style.verbosity > 0 else TOP if self.style.verbosity == 0 else 5

    def title(self, text: str) -> str:
        """A heading."""
        return f"\x1b[1m{text}\x1b[0m" if self.style.color else text

    def text(self, text: str, indent: int, lines: int = 2) -> Iterator[str]:
        """Text from outside on a few lines."""
        line = inert(text, unicode=self.style.unicode)
        more = "…" if self.style.unicode else "..."
        yield from textwrap.wrap(
            line,
            self.style.width,
            initial_indent=" " * indent,
            subsequent_indent=" " * indent,
            max_lines=99 if self.style.verbosity > 1 else lines,
            placeholder=f" {more}",
        )

    def pair(self, label: str, text: str) -> list[str]:
        """A label, and behind it what it has to say, on as many lines as that needs."""
        width = max(20, self.style.width - LABEL)
        lines = textwrap.wrap(text, width) or [""]
        return [f"{'' if place else label:<{LABEL}}{part}" for place, part in enumerate(lines)]

    def bar(self, share: float, width: int = 10) -> str:
        """A bar of a share."""
        return bar(share, width, unicode=self.style.unicode)


def headline(log: SqlLog) -> str:
    """What was read, on one line."""
    understood = 1 - log.unread / log.lines if log.lines else 1.0
    times = f", {time(log.busy)} of server time" if log.busy else ""
    return (
        f"{plural(log.calls, 'statement')}{times} in {time(log.seconds)}; "
        f"{understood:.0%} of {plural(log.lines, 'line')} understood"
    )


def of_server(log: SqlLog) -> bool:
    """Whether it is PostgreSQL's own log."""
    return log.format.startswith(("stderr", "csvlog", "jsonlog"))


def _headline(told: Told, sheet: Sheet) -> Iterator[str]:
    log = told.log
    yield sheet.title(f"SQL log: {inert(log.format, unicode=sheet.style.unicode)}")
    if log.first:
        yield f"{moment(log.first)} to {moment(log.first + log.seconds)}"
    yield from sheet.text(headline(log), 0, 3)
    server = of_server(log)
    if not log.calls and server:
        yield "No statement is in it: log_min_duration_statement = 0 writes them, with their times"
    if log.untimed:
        enable = ": log_min_duration_statement = 0 writes it" if server else ""
        yield f"{plural(log.untimed, 'execution')} without a time{enable}"
    if log.note:
        yield log.note


def _repeats(found: RepeatedQueries, sheet: Sheet) -> Iterator[str]:
    for one in worth_telling(found)[: sheet.many]:
        yield from sheet.text(f"{named(one, found)}: {repeats(one, found)}", 0, 3)
        if one.route:
            yield from sheet.text(f"request: {one.route}", 2, 1)
        if one.parent:
            yield from sheet.text(f"after   {one.parent}", 2)
        yield from sheet.text(f"repeats {one.child}", 2)
        if one.line:
            yield from sheet.text(f"code    {one.line}", 2, 1)
        if one.examples:
            yield from sheet.text("values  " + "; ".join(one.examples), 2, 1)
        for label, text in remedies(one):
            yield from sheet.text(f"{label} {text}", 2)
    if found.pooled and any(not one.sure for one in found.found):
        yield from sheet.text(
            "A pooler mixes clients: application_name_add_host = 1 in pgbouncer.ini, or "
            "sqlcommenter, makes the next run exact.", 0, 3,
        )  # fmt: skip


def named(one: Repeated, found: RepeatedQueries) -> str:
    """What it is; of an N+1 how sure that is."""
    grade = f" ({graded(one, found)})" if one.pattern == Pattern.N_PLUS_ONE else ""
    return f"{one.pattern}{grade}"


def graded(one: Repeated, found: RepeatedQueries) -> str:
    """How sure it is; through a pooler what no client's name tells apart is suspected only."""
    return _GRADES[Grade.LOW if found.pooled and not one.sure else Grade(one.grade)]


def fails(told: Told) -> bool:
    """Whether there is an N+1 that a test run fails for: more than suspected.

    In an application's own log it always is suspected, because threads may mix in it. Those of a
    test run do not, so that there the pauses decide.
    """
    found, own = told.repeated, not of_server(told.log)
    return any(
        one.pattern == Pattern.N_PLUS_ONE
        and (graded(one, found) != SUSPECTED or (own and one.gap < MEDIUM_GAP))
        for one in found.found
    )


def repeats(one: Repeated, found: RepeatedQueries) -> str:
    """How often, and what it costs."""
    share = one.calls / found.statements if found.statements else 0.0
    times = str(one.median) if one.median == one.most else f"{one.median} to {one.most}"
    saved = f", {time(one.saved)} of it could be saved" if one.saved > 0 else ""
    each = "one request" if one.requests == 1 else f"each of {one.requests:,} requests"
    return f"{times} times in {each}, {share:.0%} of all statements, {time(one.held)} in all{saved}"


def _statements(log: SqlLog, sheet: Sheet) -> Iterator[str]:
    ran = [one for one in log.statements if one.count]
    if not ran:
        return
    heads = ("total", "count", "p50", "p95", "p99", "max")
    yield _row(sheet, "", "share", heads) if log.busy else f"{'count':>9}"
    for one in ran[: sheet.many]:
        share = one.seconds / log.busy if log.busy else 0.0
        cells = _cells(one)
        yield _row(sheet, sheet.bar(share), f"{share:.0%}", cells) if log.busy else f"{cells[1]:>9}"
        yield from sheet.text(one.statement, 2)
        if costs := ", ".join(_costs(one)):
            yield f"  {costs}"
    hidden = len(ran) - sheet.many + log.others
    if hidden > 0:
        yield f"and {plural(hidden, 'other statement')}"


def _row(sheet: Sheet, bar: str, share: str, cells: Sequence[str]) -> str:
    """A bar, a share, and total, count, p50, p95, p99, max; less where there is less room."""
    if sheet.style.width < WIDE:
        total, count, _, *others = cells
        return f"{share:>5} " + " ".join(f"{cell:>9}" for cell in (total, count, *others))
    return f"{bar:<10} {share:>5} " + " ".join(f"{cell:>9}" for cell in cells)


def _cells(one: Ran) -> tuple[str, ...]:
    times = (time(n) for n in (one.p50, one.p95, one.p99, one.most))
    return (time(one.seconds), f"{one.count:,}", *times)


def _costs(one: Ran) -> Iterator[str]:
    if one.lock_waits:
        yield f"{plural(one.lock_waits, 'lock wait')} ({time(one.lock_seconds)})"
    if one.temp_files:
        yield f"{plural(one.temp_files, 'temporary file')} ({size(one.temp_bytes)})"
    if one.errors:
        yield plural(one.errors, "error")


def _slowest(log: SqlLog, sheet: Sheet) -> Iterator[str]:
    found: list[tuple[Slow, Ran]] = [(s, one) for one in log.statements for s in one.slowest]
    found.sort(key=lambda pair: (-pair[0].seconds, pair[0].when))
    for slow, one in found[:5]:
        name = f"  {inert(slow.application)}" if slow.application else ""
        yield f"{time(slow.seconds):>9}  {moment(slow.when)}{name}"
        yield from sheet.text(slow.text or one.statement, 2)
        if slow.parameters:
            yield from sheet.text(slow.parameters, 2, 1)


def _problems(log: SqlLog, sheet: Sheet) -> Iterator[str]:
    for one in log.problems[: sheet.many]:
        label = f"{one.count:>9,}  {one.severity:<8}{one.sqlstate or '-':<6}"
        body = list(sheet.text(one.message, len(label) + 1, 1)) or [""]
        yield f"{label} {body[0].lstrip()}"


def _server(log: SqlLog, sheet: Sheet) -> Iterator[str]:
    for line in server_lines(log):
        yield from sheet.pair(line[:LABEL], line[LABEL:])
    for one in log.vacuumed[:5]:
        name = inert(one.table, unicode=sheet.style.unicode)
        counts = f"{one.vacuums} vacuum, {one.analyzes} analyze, {time(one.seconds)}"
        yield from sheet.pair("autovacuum", f"{name}: {counts}")


def server_lines(log: SqlLog) -> Iterator[str]:
    """Connections, locks, files and checkpoints, a line each."""
    if log.connections:
        churn = f", half of them shorter than {time(log.session_p50)}" if log.sessions else ""
        rate = log.busiest
        often = f"{rate:,.1f} a second" if rate >= 1 else f"{rate * 60:.0f} a minute"
        yield f"connections {log.connections:,} received, up to {often}{churn}"
    if log.lock_waits:
        yield (
            f"locks       {plural(log.lock_waits, 'long wait')}, {time(log.lock_seconds)} in all, "
            f"up to {time(log.longest_lock)}"
        )
    if deadlocks := log.told("40P01"):
        yield f"deadlocks   {deadlocks:,}"
    if log.temp_files:
        yield (
            f"temp files  {log.temp_files:,} of {size(log.temp_bytes)}, "
            f"up to {size(log.largest_temp)}"
        )
    if log.checkpoints:
        causes = ", ".join(f"{inert(cause)} {n}" for cause, n in log.checkpoints.items())
        yield f"checkpoints {causes}; longest sync {time(log.longest_sync)}"
    if log.too_frequent:
        yield f"            {plural(log.too_frequent, 'warning')}: they come too often"


def _over_time(log: SqlLog, sheet: Sheet) -> Iterator[str]:
    if len(log.stretches) < 2:
        return
    rows: Sequence[tuple[str, list[float]]] = (
        ("statements", [s.calls for s in log.stretches]),
        ("server time", [s.seconds for s in log.stretches]),
        ("connections", [s.connections for s in log.stretches]),
        ("errors", [s.problems for s in log.stretches]),
    )
    for name, values in rows:
        if any(values):
            top = time(max(values)) if name == "server time" else f"{max(values):,.0f}"
            line = sparkline(values, unicode=sheet.style.unicode)
            yield f"{name:<12}{line} up to {top}"
    yield f"each mark is {time(log.step)}, from {moment(log.stretches[0].start)}"
