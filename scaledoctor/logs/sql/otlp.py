"""OpenTelemetry spans as JSON, a request of the exporter on each line."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from scaledoctor.logs.sql.clouds import record
from scaledoctor.logs.sql.entry import LONGEST, Coverage, Entry, Format

_START = re.compile(rb'^\{(?=[^\n]{0,200}"resourceSpans")', re.M)
_TEXTS = ("db.query.text", "db.statement")
_DATABASES = ("db.namespace", "db.name")


def _entries(block: bytes, coverage: Coverage) -> Iterator[Entry]:
    for line in block.splitlines():
        coverage.lines += 1
        found = record(line) if line.strip() else {}
        if found is None or (found and not isinstance(found.get("resourceSpans"), list)):
            coverage.unread += 1
            continue
        yield from _of(found)


def _of(found: Mapping[str, Any]) -> Iterator[Entry]:
    """The database's spans in the order in which they ended, as a server would have logged them."""
    spans: list[Entry] = []
    for resource in _list(found, "resourceSpans"):
        service = _attributes(resource.get("resource")).get("service.name", "")
        scopes = _list(resource, "scopeSpans") or _list(resource, "instrumentationLibrarySpans")
        made = (_entry(span, service) for scope in scopes for span in _list(scope, "spans"))
        spans += [entry for entry in made if entry is not None]
    yield from sorted(spans, key=lambda entry: entry.when)


def _entry(span: Mapping[str, Any], service: str) -> Entry | None:
    attributes = _attributes(span)
    text = next((attributes[name] for name in _TEXTS if attributes.get(name)), "")
    start, end = _nanos(span, "startTimeUnixNano"), _nanos(span, "endTimeUnixNano")
    if not text or end < start:
        return None
    trace = re.sub(r"[^0-9a-fA-F]", "", str(span.get("traceId", "")))[:32]
    took = f"duration: {(end - start) / 1e6:.3f} ms  statement: "
    tag = f" /*trace_id='{trace}'*/" if trace else ""
    database = next((attributes[name] for name in _DATABASES if attributes.get(name)), "")
    return Entry(
        end / 1e9, b"", b"LOG", (took + text[:LONGEST] + tag).encode("utf-8", "replace"),
        user=attributes.get("db.user", "").encode("utf-8", "replace"),
        database=database.encode("utf-8", "replace"),
        application=service.encode("utf-8", "replace"),
        line=_line(attributes).encode("utf-8", "replace"),
    )  # fmt: skip


def _line(attributes: Mapping[str, str]) -> str:
    file = attributes.get("code.file.path") or attributes.get("code.filepath", "")
    number = attributes.get("code.line.number") or attributes.get("code.lineno", "")
    return f"{file}:{number}" if file and number else file


def _list(found: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    items = found.get(name)
    return [i for i in items if isinstance(i, dict)] if isinstance(items, list) else []


def _nanos(span: Mapping[str, Any], name: str) -> int:
    text = str(span.get(name, ""))
    return int(text) if text.isdecimal() and len(text) < 20 else 0


def _attributes(holder: Any) -> dict[str, str]:
    """Attributes with text or whole numbers."""
    found: dict[str, str] = {}
    for pair in _list(holder, "attributes") if isinstance(holder, dict) else []:
        value = pair.get("value")
        if isinstance(value, dict):
            text = value.get("stringValue", value.get("intValue"))
            if isinstance(text, str | int):
                found[str(pair.get("key"))] = str(text)
    return found


OTLP = Format(_START, _entries, lambda line: None)
