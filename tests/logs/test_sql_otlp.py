"""Spans of OpenTelemetry: statements with the trace that they are of."""

import json

from scaledoctor.logs.nplusone.report import repeated
from scaledoctor.logs.sql.chunks import analyze_chunk
from scaledoctor.logs.sql.partial import Partial
from scaledoctor.logs.sql.recognise import recognise
from scaledoctor.redact import Redactor


def span(trace: int, start: int, text: str, *, name: str = "db.query.text") -> dict[str, object]:
    at = 1_795_514_400_000_000_000 + start * 1_000_000
    return {
        "traceId": f"{trace:032x}",
        "name": "SELECT",
        "kind": "SPAN_KIND_CLIENT",
        "startTimeUnixNano": str(at),
        "endTimeUnixNano": str(at + 500_000),
        "attributes": [
            {"key": name, "value": {"stringValue": text}},
            {"key": "db.system.name", "value": {"stringValue": "postgresql"}},
            {"key": "code.file.path", "value": {"stringValue": "shop/views.py"}},
            {"key": "code.line.number", "value": {"intValue": "42"}},
        ],
    }


def line(spans: list[dict[str, object]]) -> str:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})


def told(lines: list[str]) -> Partial:
    data = ("\n".join(lines) + "\n").encode()
    total = Partial(whole=True)
    total.merge(analyze_chunk(data, recognise(data.splitlines())))
    total.finish()
    return total


def test_two_requests_at_once_are_told_apart() -> None:
    both = [
        line([
            *(span(trace, 0, "SELECT * FROM book LIMIT 10") for trace in (1, 2)),
            *(span(trace, 1 + n, f"SELECT * FROM author WHERE id = {n}", name="db.statement")
              for n in range(8) for trace in (1, 2)),
        ])
    ]  # fmt: skip
    total = told(both)
    assert (total.calls, total.unread) == (18, 0)
    found = repeated(total.runs, Redactor(), live=False).found
    assert [(one.pattern, one.requests, one.median, one.line) for one in found] == [
        ("n+1", 2, 8, "shop/views.py:42")
    ]


def test_spans_of_no_database_and_broken_lines() -> None:
    web: dict[str, object] = {"traceId": "1", "attributes": [{"key": "http.route"}, 7]}
    good = line([span(1, n, "SELECT 1 FROM a") for n in range(3)])
    total = told([line([web]), good, good[:80], good])
    assert (total.calls, total.lines, total.unread) == (6, 4, 1)
