"""Numbers for people: times, sizes, counts, moments, bars."""

import re
from datetime import UTC, datetime

_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+"
)
_BLOCKS = " ▏▎▍▌▋▊▉█"
_HEIGHTS = " ▁▂▃▄▅▆▇█"


def time(seconds: float) -> str:
    """``0.24 ms``, ``12.3 ms``, ``4.56 s``, ``12 min``, ``3.4 h``."""
    for limit, scale, unit in ((1, 1e3, "ms"), (120, 1, "s"), (7200, 1 / 60, "min")):
        if seconds < limit:
            return f"{_three(seconds * scale)} {unit}"
    return f"{_three(seconds / 3600)} h"


def _three(value: float) -> str:
    """Three digits, and no more than two behind the point."""
    return f"{value:,.{2 if value < 10 else 1 if value < 100 else 0}f}"


def size(count: float) -> str:
    """Bytes in the largest unit that leaves a number above one."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1024:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{_three(count)} {unit}"
        count /= 1024
    return f"{_three(count)} TB"


def moment(when: float) -> str:
    """The log's own clock, to the second."""
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S")


def plural(count: int, one: str) -> str:
    """``1 statement``, ``2 statements``."""
    return f"{count:,} {one}" + ("" if count == 1 else "s")


def inert(text: str, *, unicode: bool = True) -> str:
    """One line that does nothing to a terminal."""
    line = " ".join(_CONTROL.sub(" ", text).split())
    return line if unicode else line.encode("ascii", "backslashreplace").decode()


def bar(share: float, width: int, *, unicode: bool = True) -> str:
    """A bar of a share of a width, padded to it."""
    if not unicode:
        return ("#" * round(share * width)).ljust(width)
    eighths = round(min(1.0, share) * width * 8)
    full, part = divmod(eighths, 8)
    return ("█" * full + (_BLOCKS[part] if part else "")).ljust(width)


def sparkline(values: list[float], *, unicode: bool = True) -> str:
    """One character for each value, as high as its share of the largest."""
    top = max(values, default=0.0) or 1.0
    marks = _HEIGHTS if unicode else " .:-=+*#%"
    return "".join(marks[0 if v <= 0 else max(1, round(v / top * 8))] for v in values)
