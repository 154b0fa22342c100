"""The headroom panel: how full every resource is, and which one fills up first."""

from collections.abc import Sequence

from rich.table import Table

from scaledoctor.model import State
from scaledoctor.report import Headroom, Report
from scaledoctor_reports import _series as series
from scaledoctor_reports import _words as words
from scaledoctor_reports import escape
from scaledoctor_reports._page import INKS, Page

LEAST = 16
"""Columns below which "19 of 20 connections" cannot be read."""

WIDEST = 160
"""Columns of the table at most, where a long name needs more than other tables may have."""

SPARK, WIDE = 12, 100
"""Characters of a line over the window, and the columns from which there is room for it."""


def headroom(page: Page, report: Report) -> None:
    """Every resource with a bar, the fullest first, and one sentence on what breaks next."""
    if not report.headroom:
        return
    page.heading("Headroom")
    several = len({row.target for row in report.headroom if row.target != "host"}) > 1
    named = [(f"{r.target} {r.resource}" if several else r.resource, r) for r in report.headroom]
    widths = (page.table_width, min(page.style.width, WIDEST))
    width = next((width for width in widths if _fits(page, named, width)), None)
    if width is None:
        _stack(page, named)
    else:
        _table(page, named, width)
    first = words.first_to_fill(report)
    if first and first.partition(" ")[0] not in report.verdict.sentence:
        page.say(f"{first}.")


def _fits(page: Page, named: Sequence[tuple[str, Headroom]], width: int) -> bool:
    """Whether the longest name leaves room for what is used of what."""
    cells = [(name, _state(page, row), words.outlook(row)) for name, row in named]
    widest = sum(max(map(len, column)) for column in zip(*cells, strict=True))
    return width - widest - _bar_width(page) - len("100%") - 5 >= LEAST


def _stack(page: Page, named: Sequence[tuple[str, Headroom]]) -> None:
    """Two lines for each, where the columns would be too narrow."""
    for name, row in named:
        ink, outlook = INKS[row.state], words.outlook(row)
        head = f"{_state(page, row)} {_bar(page, row)} {words.share(row)}"
        page.say((head + (f", {outlook}" if outlook else ""), ink))
        waits = words.trouble(row)
        rest = (f", {waits}" if waits else "", "bold")
        page.say(f"{name}: {words.used(row)}{_used(page, row)}", rest, _waited(page, row), indent=2)


def _table(page: Page, named: Sequence[tuple[str, Headroom]], width: int) -> None:
    table = Table.grid(padding=(0, 1, 0, 0), pad_edge=False, expand=True)
    table.width = width
    table.add_column(no_wrap=True, overflow="crop")
    table.add_column(no_wrap=True, overflow="crop")
    table.add_column(no_wrap=True, overflow="crop")
    table.add_column(no_wrap=True, overflow="crop", justify="right")
    table.add_column(ratio=1, overflow="fold")
    table.add_column(no_wrap=True, overflow="crop")
    for name, row in named:
        waits = words.trouble(row)
        table.add_row(
            page.inert((_state(page, row), INKS[row.state])),
            page.inert(name),
            page.inert((_bar(page, row), INKS[row.state])),
            page.inert((words.share(row), INKS[row.state])),
            page.inert(
                f"{words.used(row)}{_used(page, row)}",
                (f", {waits}" if waits else "", "bold"),
                _waited(page, row),
            ),
            page.inert((words.outlook(row), INKS[row.state])),
        )
    page.draw(table)


def _state(page: Page, row: Headroom) -> str:
    marks = {
        State.SATURATED: page.marks.bad,
        State.BUSY: page.marks.warn,
        State.OK: page.marks.good,
        State.UNKNOWN: page.marks.unknown,
    }
    return f"{marks[row.state]} {row.state.value}"


def _used(page: Page, row: Headroom) -> str:
    """What was used over the window, as a line up to its limit."""
    if not _lines(page) or not row.history:
        return ""
    return " " + series.line(row.history, series.top(row), SPARK, unicode=page.style.unicode)


def _waited(page: Page, row: Headroom) -> str:
    """What waited over the window, as a line up to the most of it."""
    most = max(row.queued, default=0.0)
    if not _lines(page) or not most:
        return ""
    return " " + series.line(row.queued, most, SPARK, unicode=page.style.unicode)


def _lines(page: Page) -> bool:
    return page.style.verbosity > 0 and page.style.width >= WIDE


def charts(page: Page, report: Report) -> None:
    """What some resources consisted of over the window, as bars, from -v on."""
    for chart in report.charts if page.style.verbosity > 0 else ():
        page.heading(escape.line(series.heading(chart), unicode=page.style.unicode))
        page.say(f"mean {series.unit(chart)}", ink="dim")
        table = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
        table.add_column(overflow="fold")
        table.add_column(no_wrap=True, overflow="crop")
        table.add_column(no_wrap=True, justify="right")
        table.add_column(no_wrap=True, justify="right")
        for part in series.largest(chart):
            table.add_row(
                page.inert(part.name),
                page.inert(_filled(page, part.share)),
                page.inert(f"{part.share:.0%}"),
                page.inert(words.number(part.mean)),
            )
        page.draw(table)


def _bar(page: Page, row: Headroom) -> str:
    """A bar of the utilization; empty where it is unknown."""
    return _filled(page, min(max(row.utilization or 0.0, 0.0), 1.0))


def _filled(page: Page, share: float) -> str:
    width = _bar_width(page)
    cells = round(share * width)
    return page.marks.full * cells + page.marks.empty * (width - cells)


def _bar_width(page: Page) -> int:
    return 8 if page.style.width < 100 else 12 if page.style.width < 120 else 20
