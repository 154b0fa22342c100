"""What a node's line says before its costs, in the words of EXPLAIN's JSON."""

import re
from typing import Any

_JOIN = re.compile(
    r"^(?P<kind>Nested Loop|Hash|Merge)(?: (?P<type>Left|Right|Full|Semi|Anti|Right Semi|"
    r"Right Anti))?(?: Join)?$"
)
_AGGREGATE = {
    "Aggregate": "Plain",
    "GroupAggregate": "Sorted",
    "HashAggregate": "Hashed",
    "MixedAggregate": "Mixed",
}
_SETOP = re.compile(r"^(?P<hash>Hash)?SetOp (?P<command>.+)$")
_CHANGE = re.compile(r"^(?P<what>Insert|Update|Delete|Merge) on (?P<table>.+)$")
_INDEX = re.compile(
    r"^(?P<kind>Index Scan|Index Only Scan)(?P<back> Backward)? using (?P<index>\S+|\"[^\"]*\") "
    r"on (?P<table>.+)$"
)
_BITMAP = re.compile(r"^Bitmap Index Scan on (?P<index>.+)$")
_ON = re.compile(
    r"^(?P<kind>(?:Foreign (?:Scan|Insert|Update|Delete))|Custom Scan \([^)]*\)|[A-Z][\w ]*?Scan"
    r"|Named Tuplestore Scan) on (?P<table>.+)$"
)
_NAMED = {
    "Function Scan": "Function Name",
    "Table Function Scan": "Table Function Name",
    "CTE Scan": "CTE Name",
    "WorkTable Scan": "CTE Name",
    "Named Tuplestore Scan": "Tuplestore Name",
}
_PART = re.compile(r'(?:"(?:[^"]|"")*"|[^\s."])+')


def header(what: str) -> dict[str, Any]:
    """Node Type, relation, index, join type and whatever else a node's line names."""
    raw: dict[str, Any] = {"Parallel Aware": False}
    while match := re.match(r"(Parallel|Async|Partial|Finalize) (?=[A-Z])", what):
        word, what = match[1], what[match.end() :]
        if word == "Parallel":
            raw["Parallel Aware"] = True
        elif word != "Async":
            raw["Partial Mode"] = word
    return raw | _kind(what)


def _kind(what: str) -> dict[str, Any]:
    if what in _AGGREGATE:
        return {"Node Type": "Aggregate", "Strategy": _AGGREGATE[what]}
    if join := (_JOIN.match(what) if what.endswith("Join") or "Nested" in what else None):
        kind = join["kind"] if join["kind"] == "Nested Loop" else f"{join['kind']} Join"
        return {"Node Type": kind, "Join Type": join["type"] or "Inner"}
    if change := _CHANGE.match(what):
        return {"Node Type": "ModifyTable", "Operation": change["what"], **_place(change["table"])}
    if setop := _SETOP.match(what):
        strategy = "Hashed" if setop["hash"] else "Sorted"
        return {"Node Type": "SetOp", "Strategy": strategy, "Command": setop["command"]}
    return _scan(what)


def _scan(what: str) -> dict[str, Any]:
    if index := _INDEX.match(what):
        way = "Backward" if index["back"] else "Forward"
        named = {"Scan Direction": way, "Index Name": index["index"].strip('"')}
        return {"Node Type": index["kind"], **named, **_place(index["table"])}
    if bitmap := _BITMAP.match(what):
        return {"Node Type": "Bitmap Index Scan", "Index Name": bitmap["index"].strip('"')}
    if on := _ON.match(what):
        kind = "Custom Scan" if on["kind"].startswith("Custom") else on["kind"]
        place = _place(on["table"])
        if kind in _NAMED:
            place[_NAMED[kind]] = place.pop("Relation Name")
        if kind in ("Subquery Scan", "Values Scan"):
            place.pop("Relation Name")
        return {"Node Type": kind, **place}
    return {"Node Type": what}


def _place(text: str) -> dict[str, Any]:
    """``schema.table alias``; without an alias of its own the table's name is the alias."""
    words = re.findall(r'(?:"(?:[^"]|"")*"|[^\s"])+', text)
    parts = [part.strip('"') for part in _PART.findall(words[0])]
    found: dict[str, Any] = {"Relation Name": parts[-1]}
    if len(parts) > 1:
        found["Schema"] = parts[-2]
    found["Alias"] = words[1].strip('"') if len(words) > 1 else parts[-1]
    return found
