"""The gate in a terminal: what changed, as numbers, worst first."""

import sys
from collections.abc import Iterable

from scaledoctor.gate import Baseline
from scaledoctor.report import Change, Comparison, Turn

MARKS = {
    Turn.NEW: "+",
    Turn.WORSE: "!",
    Turn.EDGE: "~",
    Turn.SAME: "=",
    Turn.BETTER: "<",
    Turn.GONE: "-",
}


def draw(comparison: Comparison) -> None:
    """Print the verdict and every change; what stayed the same is counted."""
    out = sys.stdout
    out.write(f"{plain(comparison.sentence)}\n")
    for line in (*comparison.incomparable, *comparison.notices):
        out.write(f"  {plain(line)}\n")
    for change in comparison.changed:
        out.write("\n".join(lines(change)) + "\n")
    same = len(comparison.changes) - len(comparison.changed)
    out.write(f"{same} unchanged: counters within 10 % or their floor, findings as they were\n")


def show(found: Baseline) -> None:
    """Print what a baseline holds."""
    out = sys.stdout
    out.write(
        f"written {found.created} by scaledoctor {found.version}, good until {found.expires}\n"
    )
    for key, value in found.conditions.items():
        out.write(f"  {plain(key)}: {plain(value)}\n")
    out.write(f"{len(found.findings)} findings\n")
    for known in found.findings:
        out.write(f"  {known.severity:8} {plain(known.check)}: {plain(known.subject)}\n")
    out.write(f"{len(found.counters)} counters\n")
    for counter in found.counters:
        out.write(f"  {counter.value:8.3g} {plain(counter.name)}\n")


def difference(old: Baseline, new: Baseline) -> None:
    """Print what stands in one baseline only, and the counters that differ."""
    _sides(
        {f"{k.severity} {k.check}: {k.subject}" for k in old.findings},
        {f"{k.severity} {k.check}: {k.subject}" for k in new.findings},
    )
    values = {counter.name: counter.value for counter in old.counters}
    for counter in new.counters:
        was = values.get(counter.name)
        if was is not None and was != counter.value:
            share = f" ({counter.value / was - 1:+.0%})" if was else ""
            sys.stdout.write(f"~ {plain(counter.name)}: {was:.3g} -> {counter.value:.3g}{share}\n")
    _sides(set(values), {counter.name for counter in new.counters})


def _sides(old: set[str], new: set[str]) -> None:
    for mark, names in (("-", old - new), ("+", new - old)):
        _print(f"{mark} {plain(name)}" for name in sorted(names))


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")


def lines(change: Change) -> Iterable[str]:
    word = "FAILS" if change.fails else change.turn.value
    yield f"{MARKS[change.turn]} {word:6} {plain(change.what)}"
    note = f"  ({plain(change.note)})" if change.note else ""
    yield f"         {plain(change.before)} -> {plain(change.after)}{note}"


def plain(text: str) -> str:
    """Names come from the systems that were looked at: nothing of them may reach the terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
