"""A plan for people: its problems, then the tree with bars for time and rows."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, log10
from textwrap import wrap

from scaledoctor.plans.problem import Problem, count
from scaledoctor.plans.times import Measure, measure
from scaledoctor.plans.tree import Node, Plan

BAR = 8
"""Characters of the bar of a node that takes all the time."""

_SHOWN = ("Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter", "Filter",
          "Sort Key", "Group Key", "Cache Key", "One-Time Filter")  # fmt: skip
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_UNITS = {"ms": "ms", "blocks": "blocks", "cost": "cost units"}


@dataclass(frozen=True, slots=True)
class Told:
    """What is drawn: a plan, its problems, notes on how it was got, and fixes line by line."""

    plan: Plan
    problems: Sequence[Problem] = ()
    notes: Sequence[str] = ()
    advice: Sequence[str] = ()


def terminal(told: Told, *, width: int = 100, unicode: bool = True) -> str:
    """Plain text; what stands in the plan can do nothing to a terminal."""
    lines = [headline(told.plan), ""]
    for number, problem in enumerate(told.problems, 1):
        said = f"{number}. {problem.summary} ({problem.impact:.0%}, {problem.id})"
        lines += [*_wrapped(said, width), *_wrapped(f"   fix: {problem.remedy}", width)]
    if not told.problems:
        lines += _wrapped(silence(told.plan), width)
    lines += [*(["", *told.advice] if told.advice else []), ""]
    end = "…" if unicode else "~"
    rows = tree(told, unicode=unicode)
    lines += [row if len(row) <= width else row[: width - 1] + end for row in rows]
    lines += ["", *(s for n in told.notes for s in _wrapped(f"note: {n}", width))]
    return "\n".join(_CONTROL.sub("?", line) for line in lines).rstrip() + "\n"


def _wrapped(text: str, width: int) -> list[str]:
    return wrap(text, width, subsequent_indent="   ", break_on_hyphens=False)


def markdown(told: Told, *, width: int = 120, unicode: bool = True) -> str:
    """Markdown that can be pasted into an issue: the tree is a code block."""
    lines = [f"**{_inline(headline(told.plan))}**", ""]
    for number, problem in enumerate(told.problems, 1):
        lines.append(f"{number}. {_inline(problem.summary)} ({problem.impact:.0%}, `{problem.id}`)")
        lines.append(f"   Fix: {_inline(problem.remedy)}")
    if not told.problems:
        lines.append(silence(told.plan))
    body = [_CONTROL.sub("?", s)[:width] for s in tree(told, unicode=unicode)]
    if told.advice:
        lines += ["", "```sql", *(_fenced(line) for line in told.advice), "```"]
    lines += ["", "```", *map(_fenced, body), "```"]
    lines += ["", *(f"- {_inline(note)}" for note in told.notes)] if told.notes else []
    return "\n".join(lines) + "\n"


RENDERERS: dict[str, Callable[..., str]] = {"terminal": terminal, "markdown": markdown}


def headline(plan: Plan) -> str:
    """What was measured in all."""
    times = measure(plan)
    if times.unit == "ms":
        planning = plan.number("Planning Time")
        return f"{times.total:,.1f} ms, planning {planning:,.1f} ms, {_blocks(plan.root)}"
    ran = "run without timing" if plan.analysed else "not run: an estimate"
    return f"{count(times.total)} {_UNITS[times.unit]}, {ran}"


def silence(plan: Plan) -> str:
    """Why there is no problem to tell."""
    if not plan.analysed:
        return "It was not run, so waste cannot be told: EXPLAIN (ANALYZE, BUFFERS) shows it."
    return "Nothing in this plan wastes a noticeable part of its time."


def tree(told: Told, *, unicode: bool) -> Iterator[str]:
    """Each node: own share with a bar, rows with a bar, what it is; its conditions below it."""
    times = measure(told.plan)
    numbers: dict[Node, str] = {}
    for number, problem in enumerate(told.problems, 1):
        numbers[problem.node] = numbers.get(problem.node, "") + f" <{number}>"
    yield f"{'own ' + times.unit:>12} {'':{BAR}} {'rows':>12}         node"
    pending = [(told.plan.root, 0)]
    while pending:
        node, depth = pending.pop()
        pending += [(child, depth + 1) for child in reversed(node.children)]
        name = node.text("Subplan Name")
        label = f"{name}: {node.label}" if name else node.label
        left = "  " * depth + ("└ " if unicode and depth else "- " if depth else "")
        tail = numbers.get(node, "") + _loops(node)
        bars = f"{_own(times, node, unicode=unicode)} {_rows(node, unicode=unicode)}"
        yield f"{bars} {left}{label}{tail}"
        for key in _SHOWN:
            if text := node.text(key):
                yield f"{'':43} {'  ' * (depth + 1)}{key}: {text}"


def _own(times: Measure, node: Node, *, unicode: bool) -> str:
    share = times.shares[node]
    bar = ("█" if unicode else "#") * round(times.share(node) * BAR)
    if not node.executed:
        return f"{'never run':>12} {'':{BAR}}"
    near = "~" if times.unit == "ms" and times.noisy(node) else ""
    number = f"{near}{share.own:,.1f}"
    return f"{number:>12} {bar:{BAR}}"


def _rows(node: Node, *, unicode: bool) -> str:
    """Rows of all loops with a bar of powers of ten; the estimate where it is ten times off."""
    if not node.analysed:
        return f"{count(node.rows):>12} {'':8}"
    rows = node.actual * node.loops
    bar = ("▪" if unicode else "=") * min(7, ceil(log10(rows + 1)))
    return f"{count(rows):>12} {bar:8}"


def _loops(node: Node) -> str:
    most, least = max(node.actual, node.rows), max(min(node.actual, node.rows), 1.0)
    words = f" ({count(node.loops)} times)" if node.analysed and node.loops > 1 else ""
    if node.analysed and node.executed and most >= 100 and most / least >= 10:
        words += f" (expected {count(node.rows)} rows a time, got {count(node.actual)})"
    removed = sum(node.number(f"Rows Removed by {by}") for by in ("Filter", "Join Filter"))
    return words + (f" (removed {count(removed * node.loops)})" if removed else "")


def _blocks(root: Node) -> str:
    return f"{count(root.blocks)} blocks, {count(root.number('Shared Read Blocks'))} of them read"


def _inline(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", _CONTROL.sub("?", text))


def _fenced(text: str) -> str:
    return text.replace("```", "'''")
