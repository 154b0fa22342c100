"""The headroom panel: how full every resource is, and which one fills up first."""

from collections.abc import Sequence

from rich.table import Table

from scaledoctor.model import State
from scaledoctor.report import Headroom, Report
from scaledoctor_reports import _words as words
from scaledoctor_reports._page import INKS, Page

LEAST = 16
"""Columns below which "19 of 20 connections" cannot be read."""


def headroom(page: Page, report: Report) -> None:
    """Every resource with a bar, the fullest first, and one sentence on what breaks next."""
    if not report.headroom:
        return
    page.heading("Headroom")
    several = len({row.target for row in report.headroom if row.target != "host"}) > 1
    named = [(f"{r.target} {r.resource}" if several else r.resource, r) for r in report.headroom]
    if _fits(page, named):
        _table(page, named)
    else:
        _stack(page, named)
    first = words.first_to_fill(report)
    if first and first.partition(" ")[0] not in report.verdict.sentence:
        page.say(f"{first}.")


def _fits(page: Page, named: Sequence[tuple[str, Headroom]]) -> bool:
    """Whether the longest name leaves room for what is used of what."""
    cells = [(name, _state(page, row), words.outlook(row)) for name, row in named]
    widest = sum(max(map(len, column)) for column in zip(*cells, strict=True))
    return page.table_width - widest - _bar_width(page) - len("100%") - 5 >= LEAST


def _stack(page: Page, named: Sequence[tuple[str, Headroom]]) -> None:
    """Two lines for each, where the columns would be too narrow."""
    for name, row in named:
        ink, outlook = INKS[row.state], words.outlook(row)
        head = f"{_state(page, row)} {_bar(page, row)} {words.share(row)}"
        page.say((head + (f", {outlook}" if outlook else ""), ink))
        waits = words.trouble(row)
        rest = (f", {waits}" if waits else "", "bold")
        page.say(f"{name}: {words.used(row)}", rest, indent=2)


def _table(page: Page, named: Sequence[tuple[str, Headroom]]) -> None:
    table = Table.grid(padding=(0, 1, 0, 0), pad_edge=False, expand=True)
    table.width = page.table_width
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
            page.inert(words.used(row), (f", {waits}" if waits else "", "bold")),
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


def _bar(page: Page, row: Headroom) -> str:
    """A bar of the utilization; empty where it is unknown."""
    width = _bar_width(page)
    cells = round(min(max(row.utilization or 0.0, 0.0), 1.0) * width)
    return page.marks.full * cells + page.marks.empty * (width - cells)


def _bar_width(page: Page) -> int:
    return 8 if page.style.width < 100 else 12 if page.style.width < 120 else 20
