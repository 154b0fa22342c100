"""EXPLAIN (FORMAT TEXT), from PostgreSQL 9.6 to 18, as EXPLAIN's JSON object.

A line is a node, a label of the node that follows, a property, or belongs to the whole plan. The
column of a node's arrow tells its parent, the column of a property its owner.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scaledoctor.plans.text_header import header
from scaledoctor.plans.text_property import properties, trailer

_COSTS = r"\(cost=(?P<start>[\d.]+)\.\.(?P<total>[\d.]+) rows=(?P<rows>\d+) width=(?P<width>\d+)\)"
_ACTUAL = (
    r"\(actual (?:time=(?P<first>[\d.]+)\.\.(?P<last>[\d.]+) )?"
    r"rows=(?P<got>[\d.]+) loops=(?P<loops>\d+)\)"
)
_NODE = re.compile(
    rf"^(?P<indent>\s*)(?P<arrow>->\s+)?(?P<what>[A-Z].*?)\s+"
    rf"(?:{_COSTS}|(?=\(actual|\(never))\s*(?:{_ACTUAL}|(?P<never>\(never executed\)))?"
)
_BARE = re.compile(r"^(?P<indent>\s*)(?P<arrow>->\s+)(?P<what>[A-Z].*)$")
_LABEL = re.compile(r"^\s*(?P<name>(?:InitPlan|SubPlan)(?: \d+)?(?: \(.*\))?|CTE .+?)\s*$")
_TEXT = re.compile(r"\bQuery Text: ")
_PROPERTY = re.compile(r"^\s*(?:[A-Z][\w/() -]*:|Trigger |Buckets|Batches|Worker \d|Timeout)")
_WHOLE = (
    "Planning", "Execution", "Total runtime", "Trigger", "JIT", "Settings", "Query Identifier",
    "Serialization", "Query Parameters",
)  # fmt: skip


@dataclass(slots=True)
class _Open:
    """A node whose children may still come: the column of its arrow, -1 for the root."""

    column: int
    raw: dict[str, Any]
    worker: dict[str, Any] | None = None


@dataclass(slots=True)
class _State:
    """What has been read so far."""

    stack: list[_Open] = field(default_factory=list)
    root: dict[str, Any] | None = None
    whole: dict[str, Any] = field(default_factory=dict)
    label: str = ""
    beside: int = -1
    base: int = 0
    group: str = ""


def text_plan(text: str) -> Mapping[str, Any]:
    """The first plan of a text; ValueError when there is none."""
    state = _State()
    for line in _joined(text, state):
        if state.root is not None and not _NODE.match(line) and _foreign(line, state):
            break
        _read(line, state)
    if state.root is None:
        raise ValueError("there is no line with a node and its cost")
    return {"Plan": state.root, **state.whole}


def _joined(text: str, state: _State) -> Iterator[str]:
    """The lines from the first node on, those that a terminal or a mail wrapped made whole."""
    held = ""
    query: list[str] = []
    for line in text.splitlines():
        if not held:
            found = _TEXT.search(line)
            joined = f"{query.pop()} {line.strip()}" if query and query[-1].startswith("\0") else ""
            start = _NODE.match(line) or (joined and _NODE.match(joined[1:]))
            if start is None or not start:
                query = [line[found.end() :]] if found else [*query, line.strip()] if query else []
                if not query and _unfinished(line):
                    held = line
                continue
            if query:
                state.whole["Query Text"] = "\n".join(query)
            held = line
        elif not line.strip():
            continue
        elif _starts(line) and not _unfinished_head(held):
            yield held
            held = line
        else:  # cut at a column, so that the rest begins there, or at a space and indented
            held = f"{held.rstrip()} {line.strip()}" if line[0] == " " else held + line
    if held:
        yield held


def _unfinished(line: str) -> bool:
    return bool(re.search(r"^\s*(?:->\s+)?[A-Z][\w ]+.*\s\(cost=\S*(?:\s(?:rows=?\S*)?)?$", line))


def _unfinished_head(line: str) -> bool:
    return bool(re.search(r"\((?:cost=|actual)[^)]*$", line))


def _starts(line: str) -> bool:
    return bool(_BARE.match(line) or _LABEL.match(line) or _PROPERTY.match(line))


def _foreign(line: str, state: _State) -> bool:
    """Whether a line without an arrow stands left of the plan: the next entry of a log."""
    indent = len(line) - len(line.lstrip())
    return indent < state.base and not line.strip().startswith(_WHOLE)


def _read(line: str, state: _State) -> None:
    node = _NODE.match(line) or (_BARE.match(line) if state.root is not None else None)
    indent = len(line) - len(line.lstrip())
    if node:
        _node(node, state)
    elif label := _LABEL.match(line):
        state.label, state.beside = label["name"], indent
    elif state.stack and line.strip().startswith(_WHOLE) and indent <= state.base:
        state.group = trailer(line.strip(), state.whole)
    elif state.group and indent > state.base:
        trailer(line.strip(), state.whole, state.group)
    else:
        _property(line.strip(), indent, state)


def _node(match: re.Match[str], state: _State) -> None:
    groups = match.groupdict()
    column = len(groups["indent"]) if groups["arrow"] else -1
    raw = header(groups["what"])
    names = (
        ("start", "Startup Cost"), ("total", "Total Cost"), ("rows", "Plan Rows"),
        ("width", "Plan Width"), ("first", "Actual Startup Time"), ("last", "Actual Total Time"),
        ("got", "Actual Rows"), ("loops", "Actual Loops"),
    )  # fmt: skip
    raw |= {key: float(groups[name]) for name, key in names if groups.get(name) is not None}
    if groups.get("never"):
        raw |= {"Actual Rows": 0.0, "Actual Loops": 0.0}
    if state.root is None:
        state.root, state.base = raw, len(groups["indent"])
        state.stack = [_Open(column if groups["arrow"] else -1, raw)]
        return
    labelled = bool(state.label) and column == state.beside + 2
    left = state.beside if labelled else column  # the label stands below the owner's name
    while len(state.stack) > 1 and state.stack[-1].column >= left:
        state.stack.pop()
    _adopt(state.stack[-1].raw, raw, state.label if labelled else "")
    state.label = state.label if labelled else ""
    state.stack.append(_Open(column, raw))


def _adopt(parent: dict[str, Any], raw: dict[str, Any], label: str) -> None:
    """Hang a node below its parent, with the relationship that its label or place tells."""
    siblings = parent.setdefault("Plans", [])
    if label:
        raw["Parent Relationship"] = "SubPlan" if label.startswith("SubPlan") else "InitPlan"
        raw["Subplan Name"] = label
    elif parent["Node Type"] in ("Append", "Merge Append", "ModifyTable", "BitmapAnd", "BitmapOr"):
        raw["Parent Relationship"] = "Member" if parent["Node Type"] != "ModifyTable" else "Outer"
    elif parent["Node Type"] == "Subquery Scan":
        raw["Parent Relationship"] = "Subquery"
    else:
        plain = [s for s in siblings if s.get("Parent Relationship") in ("Outer", "Inner")]
        raw["Parent Relationship"] = "Inner" if plain else "Outer"
    siblings.append(raw)


def _property(text: str, indent: int, state: _State) -> None:
    """Give a property to the node that it stands below: two columns right of a node's name."""
    while len(state.stack) > 1 and indent < state.stack[-1].column + 6:
        state.stack.pop()
    if not state.stack:
        return
    owner = state.stack[-1]
    worker = re.match(r"Worker (\d+):\s*(.*)", text)
    if worker:
        owner.worker = {"Worker Number": int(worker[1]), **properties(worker[2])}
        owner.raw.setdefault("Workers", []).append(owner.worker)
        return
    own = owner.column + 6 if owner.column >= 0 else state.base + 2
    if owner.worker is not None and indent > own:
        owner.worker |= properties(text)
    else:
        owner.raw |= properties(text)
