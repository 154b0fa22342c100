"""The headroom panel: how full every resource is, and which one fills up first."""

from rich.table import Table

from scaledoctor.model import State
from scaledoctor.report import Headroom, Report
from scaledoctor_reports import _words as words
from scaledoctor_reports._page import INKS, Page


def headroom(page: Page, report: Report) -> None:
    """Every resource with a bar, the fullest first, and one sentence on what breaks next."""
    if not report.headroom:
        return
    page.heading("Headroom")
    several = len({row.target for row in report.headroom if row.target != "host"}) > 1
    table = Table.grid(padding=(0, 1, 0, 0), pad_edge=False, expand=True)
    table.width = page.table_width
    table.add_column(no_wrap=True, overflow="crop")
    table.add_column(max_width=28 if page.style.width < 100 else 48, overflow="fold")
    table.add_column(no_wrap=True, overflow="crop")
    table.add_column(no_wrap=True, overflow="crop", justify="right")
    table.add_column(ratio=1, overflow="fold")
    table.add_column(no_wrap=True, overflow="crop")
    for row in report.headroom:
        waits = words.trouble(row)
        name = f"{row.target} {row.resource}" if several else row.resource
        table.add_row(
            page.inert((_state(page, row), INKS[row.state])),
            page.inert(name, width=80),
            page.inert((_bar(page, row), INKS[row.state])),
            page.inert((words.share(row), INKS[row.state])),
            page.inert(words.used(row), (f", {waits}" if waits else "", "bold")),
            page.inert((words.outlook(row), INKS[row.state])),
        )
    page.draw(table)
    first = words.first_to_fill(report)
    if first and first.partition(" ")[0] not in report.verdict.sentence:
        page.say(f"{first}.")


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
    width = 8 if page.style.width < 100 else 12 if page.style.width < 120 else 20
    cells = round(min(max(row.utilization or 0.0, 0.0), 1.0) * width)
    return page.marks.full * cells + page.marks.empty * (width - cells)
