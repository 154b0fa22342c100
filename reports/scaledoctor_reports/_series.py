"""Series over the window: as characters, in words, and as shares of a chart."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from scaledoctor.model import Chart
from scaledoctor.report import Headroom
from scaledoctor_reports import _words as words

BLOCKS, LETTERS = "▁▂▃▄▅▆▇█", "_.:-=+*#"
"""From nothing to the top; the second for terminals without unicode."""


def top(row: Headroom) -> float:
    """The height of a picture of what was used: its limit, or what went beyond it."""
    return max(row.limit or 0.0, *row.history)


def line(values: Sequence[float], height: float, width: int, *, unicode: bool) -> str:
    """Values as characters, ``width`` at most, from 0 to ``height``."""
    marks = BLOCKS if unicode else LETTERS
    scale = (len(marks) - 1) / height if height > 0 else 0.0
    return "".join(
        marks[round(min(max(value, 0.0) * scale, len(marks) - 1))]
        for value in _thinned(values, width)
    )


def _thinned(values: Sequence[float], width: int) -> list[float]:
    """At most ``width`` means of neighbours."""
    count = min(width, len(values))
    edges = [i * len(values) // count for i in range(count + 1)] if count else [0]
    return [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]


def told(values: Sequence[float], unit: str) -> str:
    """A series in words, for who cannot see it."""
    first, last, least, most = (
        words.number(value) for value in (values[0], values[-1], min(values), max(values))
    )
    return f"over the window from {first} to {last} {unit}, lowest {least}, highest {most}"


@dataclass(frozen=True, slots=True)
class Part:
    """One band of a chart: its share of all, 0..1, and its mean."""

    name: str
    share: float
    mean: float


def parts(chart: Chart) -> list[Part]:
    """The bands in the chart's order."""
    sums = [sum(band.values) for band in chart.bands]
    total = sum(sums) or 1.0
    return [
        Part(band.name, part / total, part / max(len(band.values), 1))
        for band, part in zip(chart.bands, sums, strict=True)
    ]


def largest(chart: Chart) -> list[Part]:
    """The bands, the largest first."""
    return sorted(parts(chart), key=lambda part: -part.share)


def mixed(chart: Chart) -> str:
    """In one line: "57% Lock, 30% running"."""
    return ", ".join(f"{part.share:.0%} {part.name}" for part in largest(chart))


def heading(chart: Chart) -> str:
    """What it shows, and of what."""
    return f"{chart.title} ({chart.target})" if chart.target else chart.title


def unit(chart: Chart) -> str:
    """What is counted, for how long, and what is not: "sessions over 10 s, idle ones left out"."""
    return f"{chart.unit} over {chart.seconds:.3g} s" + (f", {chart.note}" if chart.note else "")
