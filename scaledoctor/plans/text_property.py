"""The lines below a node and below the plan, in the words of EXPLAIN's JSON."""

import re
from typing import Any

_KIND = {"shared": "Shared", "local": "Local", "temp": "Temp", "shared/local": "Shared"}
_VERB = {"hit": "Hit", "read": "Read", "dirtied": "Dirtied", "written": "Written"}
_NUMBER = re.compile(r"^-?\d+(?:\.\d+)?(?: ?(?:kB|ms))?$")
_PAIR = re.compile(r"([A-Z][A-Za-z/ -]*?): +(\S.*?)(?=  +[A-Z]|$)")
_RENAMED: dict[str, str] = {
    "Buckets": "Hash Buckets",
    "Memory Usage": "Peak Memory Usage",
    "Hits": "Cache Hits",
    "Misses": "Cache Misses",
    "Evictions": "Cache Evictions",
    "Overflows": "Cache Overflows",
}
_TRIGGER = re.compile(
    r"^Trigger (?P<name>\S+)?(?: ?for constraint (?P<constraint>\S+))?(?: on (?P<table>\S+))?: "
    r"time=(?P<time>[\d.]+) calls=(?P<calls>\d+)"
)


def properties(text: str) -> dict[str, Any]:
    """One line below a node: ``Filter: ...``, ``Buffers: shared hit=3``, ``Buckets: ...  ...``."""
    key, colon, value = text.partition(":")
    value = value.strip()
    if not colon:
        return {}
    if key == "Buffers":
        return _counts(value, " Blocks")
    if key == "I/O Timings":
        return _io(value)
    if key == "Heap Blocks":
        pairs = re.findall(r"(exact|lossy)=(\d+)", value)
        return {f"{kind.title()} Heap Blocks": float(n) for kind, n in pairs}
    if key == "Sort Method":
        return _sort(value)
    if key.startswith(("Buckets", "Batches", "Hits", "Planned Partitions", "Storage")):
        return _several(text)
    if key in ("actual time", "actual rows"):
        return {}
    if key.endswith("-sorted Groups") or key == "Full-sort Groups":
        return {key: value, **({"Sort Space Type": "Disk"} if "Disk:" in value else {})}
    return {key: _value(value)}


def _value(text: str) -> Any:
    if not _NUMBER.match(text):
        return text
    return float(re.sub(r" ?(?:kB|ms)$", "", text))


def _counts(value: str, unit: str) -> dict[str, Any]:
    """``shared hit=1 read=2, temp written=3``."""
    found: dict[str, Any] = {}
    for part in value.split(", "):
        kind = _KIND.get(part.split(" ")[0], "Shared")
        for verb, number in re.findall(r"(hit|read|dirtied|written)=(\d+)", part):
            found[f"{kind} {_VERB[verb]}{unit}"] = float(number)
    return found


def _io(value: str) -> dict[str, Any]:
    """``shared read=1.5 write=2, temp read=3``; up to PostgreSQL 14 without the kind."""
    found: dict[str, Any] = {}
    for part in value.split(", "):
        kind = _KIND.get(part.split(" ")[0], "Shared")
        for verb, number in re.findall(r"(read|write)=([\d.]+)", part):
            found[f"{kind} I/O {verb.title()} Time"] = float(number)
    return found


def _sort(value: str) -> dict[str, Any]:
    """``external merge  Disk: 1234kB``."""
    method, _, space = value.partition("  ")
    found: dict[str, Any] = {"Sort Method": method}
    if used := re.match(r"(Disk|Memory): (\d+)kB", space.strip()):
        found |= {"Sort Space Type": used[1], "Sort Space Used": float(used[2])}
    return found


def _several(text: str) -> dict[str, Any]:
    """``Buckets: 1024 (originally 512)  Batches: 8 (originally 1)  Memory Usage: 9kB``."""
    pairs: dict[str, str] = dict(_PAIR.findall(text))
    found: dict[str, Any] = {}
    hash_join = "Buckets" in pairs
    for key, value in pairs.items():
        name = _RENAMED.get(key, key)
        if key == "Batches":
            name = "Hash Batches" if hash_join else "HashAgg Batches"
        now, _, before = value.partition(" (originally ")
        found[name] = _value(now)
        if hash_join and name in ("Hash Batches", "Hash Buckets"):
            found[f"Original {name}"] = _value(before.rstrip(")") or now)
    return found


def trailer(text: str, whole: dict[str, Any], group: str = "") -> str:
    """Read one line about the whole plan into ``whole``; return the group that it opens."""
    if group:
        _grouped(text, whole, group)
        return group
    if found := _TRIGGER.match(text):
        names = {"name": "Trigger Name", "constraint": "Constraint Name", "table": "Relation"}
        parts = found.groupdict()
        trigger: dict[str, Any] = {v: parts[k] for k, v in names.items() if parts[k]}
        trigger |= {"Time": float(found["time"]), "Calls": float(found["calls"])}
        whole.setdefault("Triggers", []).append(trigger)
        return ""
    key, _, value = text.partition(":")
    value = value.strip()
    if not value:
        return key
    if key == "Settings":
        whole["Settings"] = dict(re.findall(r"([\w.]+) = '((?:[^']|'')*)'", value))
    elif key == "Serialization":
        spent = re.search(r"time=([\d.]+)", value)
        whole["Serialization"] = {"Time": float(spent[1]) if spent else 0.0}
    elif key == "Total runtime":
        whole["Total Runtime"] = _value(value)
    else:
        whole[key.replace("time", "Time")] = value if key == "Query Identifier" else _value(value)
    return ""


def _grouped(text: str, whole: dict[str, Any], group: str) -> None:
    """A line below ``JIT:`` or ``Planning:``."""
    if group == "JIT" and text.startswith("Timing:"):
        parts = re.findall(r"([A-Z]\w+)(?: \([^)]*\))? ([\d.]+) ms", text)
        whole["JIT"] = {"Timing": {name: float(ms) for name, ms in parts}}
    elif group == "Planning":
        whole["Planning"] = whole.get("Planning", {}) | properties(text)
