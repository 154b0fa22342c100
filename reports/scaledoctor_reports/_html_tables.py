"""Tables in HTML: how full every resource is, and what changed beside the baseline."""

from collections.abc import Iterator

from scaledoctor.report import Headroom, Report
from scaledoctor_reports import _html_charts as charts
from scaledoctor_reports import _words as words
from scaledoctor_reports.escape import html as inert


def headroom(report: Report) -> Iterator[str]:
    """Every resource with a bar, the fullest first; a click on a heading sorts."""
    if not report.headroom:
        return
    yield "<h2>Headroom</h2>"
    if first := words.first_to_fill(report):
        yield f"<p>{inert(first)}.</p>"
    yield '<div class="scroll" role="region" aria-label="Headroom" tabindex="0">'
    yield '<table class="sortable panel">'
    if any(row.history or row.queued for row in report.headroom):
        yield "<caption>Small lines: over the window; dashed: the limit</caption>"
    yield "<thead><tr>"
    heads = ("state", "resource", "target", "utilization", "used", "waiting", "outlook")
    yield from (f'<th scope="col">{head}</th>' for head in heads)
    yield "</tr></thead><tbody>"
    for row in report.headroom:
        yield from _row(row)
    yield "</tbody></table></div>"


def _row(row: Headroom) -> Iterator[str]:
    state, key = row.state.value, f"{row.utilization or 0:.6f}"
    yield f'<tr><td class="word {state}">{state}</td>'
    yield f'<th scope="row">{inert(row.resource)}</th><td class="place">{inert(row.target)}</td>'
    yield f'<td class="number" data-key="{key}">{words.share(row)}{_bar(row)}</td>'
    yield f'<td data-key="{row.used:.6f}">{inert(words.used(row))}{charts.used(row)}</td>'
    yield f'<td data-key="{row.waiting:.6f}">{inert(words.trouble(row))}{charts.waiting(row)}</td>'
    yield f"<td>{inert(words.outlook(row))}</td></tr>"


def _bar(row: Headroom) -> str:
    """The use as a bar, with a mark where it becomes critical; nothing where it is unknown."""
    if row.utilization is None:
        return ""
    use = 100 * min(max(row.utilization, 0.0), 1.0)
    mark = 100 * min(max(row.critical, 0.0), 1.0)
    return (
        f'<svg class="bar {row.state.value}" viewBox="0 0 100 8" preserveAspectRatio="none" '
        'aria-hidden="true">'
        '<rect class="track" width="100" height="8"/>'
        f'<rect class="use" width="{use:.1f}" height="8"/>'
        f'<rect class="mark" x="{mark:.1f}" width="0.6" height="8"/></svg>'
    )


def gate(report: Report) -> Iterator[str]:
    """The scan beside its baseline."""
    found = report.gate
    if found is None:
        return
    yield "<h2>Beside the baseline</h2>"
    grade = "fails" if found.failed else "ok"
    yield f'<p class="word {grade}">{inert(found.sentence)}</p>'
    lines = [f"<li>{inert(text)}</li>" for text in (*found.incomparable, *found.notices)]
    if lines:
        yield f"<ul>{''.join(lines)}</ul>"
    if found.changed:
        yield '<div class="scroll" role="region" aria-label="Changes" tabindex="0">'
        yield '<table class="sortable"><thead><tr>'
        heads = ("turn", "what", "before", "now", "note")
        yield from (f'<th scope="col">{head}</th>' for head in heads)
        yield "</tr></thead><tbody>"
        for change in found.changed:
            turn = (
                '<td class="word fails">fails</td>'
                if change.fails
                else f"<td>{change.turn.value}</td>"
            )
            cells = (change.what, change.before, change.after, change.note)
            yield f"<tr>{turn}{''.join(f'<td>{inert(cell)}</td>' for cell in cells)}</tr>"
        yield "</tbody></table></div>"
