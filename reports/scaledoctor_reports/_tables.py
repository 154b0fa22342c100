"""The tables of the terminal report: evidence, headroom with bars."""

from rich.table import Table
from rich.text import Text

from scaledoctor.model import Finding, State
from scaledoctor.report import Report
from scaledoctor.sdk import Style
from scaledoctor_reports import _words as words
from scaledoctor_reports.escape import line

COLORS = {State.SATURATED: "red", State.BUSY: "yellow", State.OK: "green", State.UNKNOWN: "dim"}


def evidence_table(finding: Finding, style: Style) -> Table:
    """Fact, value, threshold, and on wide screens the source."""
    table = _plain()
    table.add_column(ratio=4)
    table.add_column(ratio=5, overflow="fold")
    if wide := style.width >= 110:
        table.add_column(ratio=4, style="dim")
    for evidence in finding.evidence:
        limit = words.threshold(evidence)
        value = line(words.value(evidence), 400) + (f"  (limit {limit})" if limit else "")
        row = [Text(line(evidence.fact, 200)), Text(value, style="bold")]
        if wide:
            row.append(Text(line(evidence.source, 200)))
        table.add_row(*row)
    return table


def headroom_table(report: Report, style: Style) -> Table:
    """Resource, bar, used of limit, state, waiting, and the traffic it can still take."""
    table = _plain()
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(ratio=1)
    table.add_column(no_wrap=True)
    several = len({row.target for row in report.headroom if row.target != "host"}) > 1
    for row in report.headroom:
        color = COLORS[row.state]
        name = f"{row.target} {row.resource}" if several else row.resource
        share = f"{row.utilization:.0%}" if row.utilization is not None else "?"
        waiting = f", {words.number(row.waiting)} waiting" if row.waiting >= 0.05 else ""
        table.add_row(
            Text(line(name, 40)),
            Text(bar(row.utilization, 12 if style.width < 100 else 24, style), style=color),
            Text(share, style=color),
            Text(line(words.used(row), 200) + waiting),
            Text(f"{row.state.value}  {words.outlook(row)}".rstrip(), style=color),
        )
    return table


def bar(share: float | None, width: int, style: Style) -> str:
    """A bar of ``width`` cells; empty cells where the share is unknown."""
    full, empty = ("█", "░") if style.unicode else ("#", ".")
    cells = round(min(max(share or 0.0, 0.0), 1.0) * width)
    return full * cells + empty * (width - cells)


def _plain() -> Table:
    return Table(
        box=None, show_header=False, padding=(0, 1, 0, 0), pad_edge=False, expand=True,
        title=None, leading=0,
    )  # fmt: skip
