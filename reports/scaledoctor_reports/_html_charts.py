"""Pictures in HTML, all of them SVG: no attribute may hold a style, and nothing is loaded."""

from collections.abc import Iterator, Sequence

from scaledoctor.model import Chart
from scaledoctor.report import Headroom
from scaledoctor_reports import _series as series
from scaledoctor_reports import _words as words
from scaledoctor_reports.escape import html as inert

PATTERNS = (
    "",
    '<path d="M-1 1 l2 -2 M0 8 l8 -8 M7 9 l2 -2"/>',
    '<circle cx="4" cy="4" r="1.6"/>',
    '<path d="M0 4 h8"/>',
    '<path d="M4 0 v8"/>',
    '<path d="M-1 7 l2 2 M0 0 l8 8 M7 -1 l2 2"/>',
    '<path d="M0 4 h8 M4 0 v8"/>',
    '<path d="M1 1 h3 v3 h-3 z"/>',
)
"""What tells bands apart without colour, on tiles of 8 by 8; the first has none."""


def spark(values: Sequence[float], height: float, label: str, limit: float | None = None) -> str:
    """A small line from 0 to ``height``, with the limit as a dashed one; empty without values."""
    if not values or height <= 0:
        return ""
    step = 100 / (len(values) - 1) if len(values) > 1 else 0.0
    points = " ".join(f"{i * step:.4g},{_y(value, height)}" for i, value in enumerate(values))
    mark = f'<path class="limit" d="M0 {_y(limit, height)} h100"/>' if limit else ""
    return (
        '<svg class="spark" viewBox="0 0 100 22" preserveAspectRatio="none" role="img" '
        f'aria-label="{inert(label)}">{mark}<polyline points="{points}"/></svg>'
    )


def _y(value: float, height: float) -> str:
    return f"{21 - 20 * min(max(value / height, 0.0), 1.0):.3g}"


def used(row: Headroom) -> str:
    """What was used over the window, under its limit."""
    label = series.told(row.history, row.unit) if row.history else ""
    return spark(row.history, series.top(row) if row.history else 0.0, label, row.limit)


def waiting(row: Headroom) -> str:
    """What waited over the window; nothing when nothing ever did."""
    most = max(row.queued, default=0.0)
    return spark(row.queued, most, series.told(row.queued, "waiting")) if most else ""


def charts(found: Sequence[Chart]) -> Iterator[str]:
    """Each chart with its legend, which is its table of numbers too."""
    for number, chart in enumerate(found, 1):
        yield f"<h2>{inert(series.heading(chart))}</h2>"
        yield from _chart(number, chart)


def _chart(number: int, chart: Chart) -> Iterator[str]:
    sums = [sum(values) for values in zip(*(band.values for band in chart.bands), strict=True)]
    height = max(sums, default=0.0) or 1.0
    yield f'<figure>\n<p class="axis soft">{words.number(height)} {inert(chart.unit)}</p>'
    label = f"{chart.title} over {chart.seconds:.3g} s: {series.mixed(chart)}"
    yield f'<svg class="stack" role="img" aria-label="{inert(label)}">'
    yield f"<defs>{''.join(_pattern(number, i) for i in range(len(chart.bands)))}</defs>"
    floor = [0.0] * len(sums)
    for index, band in enumerate(chart.bands):
        yield from _bars(_fill(number, index), band.values, floor, height)
        floor = [low + value for low, value in zip(floor, band.values, strict=True)]
    yield f'</svg>\n<p class="axis soft"><span>0 s</span><span>{chart.seconds:.3g} s</span></p>'
    yield from _legend(number, chart)
    yield "</figure>"


def _bars(
    fill: str, values: Sequence[float], floor: Sequence[float], height: float
) -> Iterator[str]:
    """One bar for each moment, in shares of the picture, so that patterns are not stretched."""
    wide = 100 / len(values)
    yield f"<g {fill}>"
    for i, (value, low) in enumerate(zip(values, floor, strict=True)):
        if value > 0:
            tall = 100 * value / height
            y = 100 - 100 * low / height - tall
            yield (
                f'<rect x="{i * wide:.4g}%" y="{y:.4g}%" width="{wide:.4g}%" height="{tall:.4g}%"/>'
            )
    yield "</g>"


def _pattern(number: int, index: int) -> str:
    return (
        f'<pattern id="band-{number}-{index}" width="8" height="8" '
        f'patternUnits="userSpaceOnUse"><rect class="band-{index % len(PATTERNS)}" width="8" '
        f'height="8"/>{PATTERNS[index % len(PATTERNS)]}</pattern>'
    )


def _fill(number: int, index: int) -> str:
    return f'fill="url(#band-{number}-{index})"'


def _legend(number: int, chart: Chart) -> Iterator[str]:
    yield f"<figcaption>{inert(series.unit(chart))}; from the bottom up</figcaption>"
    yield '<table class="legend"><thead><tr><td></td>'
    yield from (f'<th scope="col">{head}</th>' for head in ("band", "share", "mean"))
    yield "</tr></thead><tbody>"
    for index, part in enumerate(series.parts(chart)):
        swatch = f'<rect width="100%" height="100%" {_fill(number, index)}/>'
        yield (
            f'<tr><td><svg class="swatch" aria-hidden="true">{swatch}</svg></td>'
            f'<th scope="row">{inert(part.name)}</th><td class="number">{part.share:.0%}</td>'
            f'<td class="number">{words.number(part.mean)}</td></tr>'
        )
    yield "</tbody></table>"
