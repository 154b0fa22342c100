"""JSON records and lines of clouds and collectors, as lines of PostgreSQL's own."""

import json
import re
from collections.abc import Mapping
from typing import Any

from scaledoctor.logs.sql.lines import BELONGS, stamped
from scaledoctor.logs.stamps import iso

_HEROKU = re.compile(rb"(\S+) app\[postgres\.(\d+)\]: \[\w+\] \[\d+-(\d+)\]\s+(.*)", re.DOTALL)
_HEAD = re.compile(r"^(.*?)(?:LOG|ERROR|FATAL|PANIC|WARNING|NOTICE|INFO|DEBUG[1-5]?):  ", re.S)
_COLUMNS = {
    "user_name": "user", "database_name": "dbname", "session_id": "session_id",
    "error_severity": "error_severity", "sql_state_code": "state_code", "message": "message",
    "detail": "detail", "context": "context", "query": "statement",
    "application_name": "application_name",
}  # fmt: skip


def record(line: bytes) -> Mapping[str, Any] | None:
    """The JSON object of a line, None when it is none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def indented(text: str) -> bytes:
    """A message of several lines as the server writes it: the further ones behind a tab."""
    lines = text.rstrip("\n").replace("\n\t", "\n").replace("\n", "\n\t")
    return lines.encode("utf-8", "replace")


def heroku(line: bytes) -> bytes | None:
    """A line of Heroku's router of logs."""
    found = _HEROKU.match(line)
    if found is None:
        return None
    if int(found[3]) > 1 and not BELONGS.search(found[4]):
        return b"\t" + found[4].replace(b"#011", b"")
    text = found[4].replace(b" = ", b"=", 1)
    return stamped(iso(found[1]) or 0.0, found[2], text)


def docker(line: bytes) -> bytes | None:
    """A line of docker's json-file driver."""
    found = record(line)
    text = found.get("log") if found else None
    return text.encode("utf-8", "replace") if isinstance(text, str) else None


def journald(line: bytes) -> bytes | None:
    """An entry of ``journalctl -o json``; what is no UTF-8 is a list of bytes there."""
    found = record(line)
    text = found.get("MESSAGE") if found else None
    if isinstance(text, list):
        return bytes(byte for byte in text if isinstance(byte, int) and 0 <= byte < 256)
    if not isinstance(text, str) or found is None:
        return None
    if _stamped(text) or text[:1] == "\t":
        return indented(text) if text[:1] != "\t" else text.encode("utf-8", "replace")
    micros, pid = str(found.get("__REALTIME_TIMESTAMP", "0")), str(found.get("_PID", "0"))
    part = re.match(r"\[\d+-(\d+)\] ?", text)
    if part is not None and int(part[1]) > 1:
        return b"\t" + indented(text[part.end() :].replace("#011", ""))
    body = text[part.end() :] if part else text
    when = int(micros) / 1e6 if micros.isdigit() and len(micros) < 18 else 0.0
    return stamped(when, pid.encode(), indented(body))


def _stamped(text: str) -> bool:
    return re.match(r"\d{4}-\d\d-\d\d[ T]\d\d:", text) is not None


def azure(line: bytes) -> bytes | None:
    """A record of Azure Database for PostgreSQL; its detail is a field of its own."""
    found = record(line)
    fields = found.get("properties") if found else None
    if not isinstance(fields, dict) or not isinstance(fields.get("message"), str):
        return None
    message = fields["message"]
    lines = indented(message)
    head = _HEAD.match(message)
    detail = fields.get("detail")
    if head is not None and isinstance(detail, str) and detail:
        lines += b"\n" + head[1].encode() + b"DETAIL:  " + indented(detail)
    return lines


def cloud_sql(block: bytes) -> tuple[bytes, int]:
    """Records of Cloud SQL or AlloyDB, which may come newest first: put in the order of time."""
    kept: list[tuple[str, str, bytes]] = []
    unread = 0
    for line in block.splitlines():
        if not line.strip():
            continue
        found = record(line)
        text = found.get("textPayload") if found else None
        if found is None or not isinstance(text, str):
            unread += 1
            continue
        when, key = str(found.get("timestamp", "")), str(found.get("insertId", ""))
        kept.append((when, key, indented(text)))
    kept.sort(key=lambda one: one[:2])
    return b"".join(text + b"\n" for _, _, text in kept), unread


def cnpg(line: bytes) -> bytes | None:
    """A record of CloudNativePG: the columns of csvlog by name. Its own messages are none."""
    found = record(line)
    if found is None:
        return None
    columns = found.get("record")
    if not isinstance(columns, dict) or "error_severity" not in columns:
        return b"" if "logger" in found else None
    return _jsonlog(columns, str(columns.get("log_time", "")))


def supabase(line: bytes) -> bytes | None:
    """A record of Supabase; those without parsed columns are its pooler's."""
    found = record(line)
    if found is None or "event_message" not in found:
        return None
    nested: Any = found
    for step in ("metadata", "parsed"):
        nested = nested.get(step) if isinstance(nested, dict) else None
        nested = nested[0] if isinstance(nested, list) and nested else nested
    if not isinstance(nested, dict) or "error_severity" not in nested:
        return b""
    columns = {**nested, "message": found["event_message"]}
    return _jsonlog(columns, str(nested.get("timestamp", "")))


def _jsonlog(columns: Mapping[str, Any], when: str) -> bytes:
    fields = {
        name: str(columns[column])
        for column, name in _COLUMNS.items()
        if columns.get(column) not in (None, "")
    }
    return json.dumps({"timestamp": when, **fields}, separators=(",", ":")).encode()
