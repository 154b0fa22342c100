"""Prometheus' text format, as far as counters and gauges need it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from scaledoctor.errors import Unavailable

# name{labels} value, perhaps a time or an exemplar behind it.
_LINE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+([+-]?[\w.+-]+)(?:\s+.*)?")
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: its metric, its labels, its value."""

    name: str
    labels: Mapping[str, str]
    value: float


def samples(text: str, wanted: Iterable[str]) -> Iterator[Sample]:
    """Yield the lines of the wanted metrics; the others are not split, except for the first.

    Raises:
        Unavailable: the first line or a wanted one is no line of this format.

    """
    names = tuple(wanted)
    seen = False
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if not seen or line.startswith(names):
            sample, seen = _sample(line), True
            if sample.name in names:
                yield sample


def _sample(line: str) -> Sample:
    # Exemplars of OpenMetrics follow a " # ", which no label of ours holds.
    found = _LINE.fullmatch(line.partition(" # ")[0].rstrip())
    try:
        value = float(found[3]) if found else None
    except ValueError:
        value = None
    if found is None or value is None:
        raise Unavailable("what answers are no metrics in Prometheus' text format")
    labels = {name: _unescape(text) for name, text in _LABEL.findall(found[2] or "")}
    return Sample(found[1], labels, value)


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda m: _ESCAPED.get(m[1], m[1]), text) if "\\" in text else text
