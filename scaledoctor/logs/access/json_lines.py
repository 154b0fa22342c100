"""One JSON object per line: nginx, Caddy, Traefik, Envoy, and others by their usual keys."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from scaledoctor.logs import stamps
from scaledoctor.logs.access.layout import ABORTED, Layout, Row

_KEYS: Mapping[str, tuple[str, ...]] = {
    "method": ("request.method", "RequestMethod", "request_method", "requestMethod",
               "http_method", "method", "verb"),
    "target": ("request.uri", "RequestPath", "request_uri", "requestUri", "uri", "path", "url"),
    "request": ("request", "request_line", "requestLine"),
    "status": ("status", "DownstreamStatus", "status_code", "statusCode", "response_code",
               "responseCode", "http_status", "code"),
    "total": ("Duration", "request_time", "requestTime", "duration", "duration_ms", "durationMs",
              "response_time", "responseTime", "latency", "latency_ms", "elapsed", "elapsed_ms",
              "request_duration", "rt", "took"),
    "spent": ("OriginDuration", "upstream_response_time", "upstreamResponseTime",
              "upstream_service_time", "upstream_time", "urt"),
    "address": ("ServiceAddr", "upstream_addr", "upstreamAddr", "upstream_host", "upstream"),
    "answer": ("OriginStatus", "upstream_status", "upstreamStatus"),
    "flags": ("response_flags", "responseFlags"),
    "retries": ("RetryAttempts",),
    "time": ("ts", "time", "@timestamp", "timestamp", "time_iso8601", "time_local", "StartUTC",
             "start_time", "msec", "date"),
}  # fmt: skip
"""Where each field is found, the first that half of the sample has; a dot goes one level down."""

_UNITS = ((re.compile(r"ns$|Duration$"), 1e-9), (re.compile(r"us$|micros"), 1e-6),
          (re.compile(r"_ms$|Ms$|millis|service_time$"), 1e-3))  # fmt: skip
_GO = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_GO_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}

_Line = Mapping[str, Any]
_Get = Callable[[_Line], Any]


def json_lines(sample: Sequence[bytes]) -> Layout | None:
    """The layout of a sample of JSON lines; None when request or status cannot be found."""
    lines = list(decoded(b"\n".join(sample)))
    keys = {role: _key(names, lines) for role, names in _KEYS.items()}
    if not lines or not keys["status"] or not (keys["target"] or keys["request"]):
        return None
    get = {role: _getter(key) for role, key in keys.items()}
    units = {role: _unit(keys[role], get[role], lines) for role in ("total", "spent")}

    def rows(block: bytes) -> list[Row]:
        return [_row(line, get, units) for line in decoded(block)]

    def stamp(line: bytes) -> float | None:
        return next((_time(get["time"](one)) for one in decoded(line)), None)

    return Layout(
        "JSON",
        rows,
        stamp,
        timed=bool(keys["total"]),
        upstream_timed=bool(keys["spent"]),
        upstreams=bool(keys["address"]),
        answers=bool(keys["answer"] or keys["flags"]),
        proxied=not keys["flags"] and keys["answer"] != "OriginStatus",
    )


def decoded(block: bytes) -> Iterator[_Line]:
    """Every line that is a JSON object; what is none is passed over."""
    import msgspec

    decode = msgspec.json.Decoder().decode
    for line in block.split(b"\n"):
        start = line.find(b"{")  # syslog or a container's log driver may stand in front
        if start < 0:
            continue
        try:
            found = decode(line[start:])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if isinstance(found, dict):
            yield found


def _key(names: Sequence[str], lines: Sequence[_Line]) -> str:
    for name in names:
        get = _getter(name)
        values = [value for line in lines if (value := get(line)) is not None]
        if values and 2 * len(values) >= len(lines) and not isinstance(values[0], dict | list):
            return name
    return ""


def _getter(key: str) -> _Get:
    outer, _, inner = key.partition(".")
    if not inner:
        return lambda line: line.get(key)

    def below(line: _Line) -> Any:
        level = line.get(outer)
        return level.get(inner) if isinstance(level, dict) else None

    return below


def _unit(key: str, get: _Get, lines: Sequence[_Line]) -> float:
    """Seconds of one unit: by the key's ending, else whole numbers are milliseconds."""
    for pattern, unit in _UNITS:
        if pattern.search(key):
            return unit
    values = [value for line in lines if (value := get(line)) is not None]
    return 1e-3 if all(isinstance(v, int) or str(v).isdigit() for v in values) else 1.0


def _row(line: _Line, get: Mapping[str, _Get], units: Mapping[str, float]) -> Row:
    answer = get["answer"](line)
    status = _text(get["status"](line))
    answers = _text(answer) if answer else b"-"
    flags = get["flags"](line)
    if flags and flags != "-":
        answers = b"-"
    elif flags:
        answers = status
    if status == b"0" or (flags and "DC" in str(flags)):
        status = ABORTED
    if retries := get["retries"](line):
        answers = b"-, " * min(int(retries), 9) + answers
    return (
        _request(line, get),
        status,
        _seconds(get["total"](line), units["total"]),
        _seconds(get["spent"](line), units["spent"]),
        _text(get["address"](line)),
        answers,
        b"",
    )


def _request(line: _Line, get: Mapping[str, _Get]) -> bytes:
    target, method = get["target"](line), get["method"](line)
    if isinstance(target, str):
        text = f"{method or 'GET'} {target}"
    else:
        text = " ".join(str(get["request"](line)).split(" ")[:2])
    return text.partition("?")[0].encode("ascii", "replace")


def _text(value: Any) -> bytes:
    return str(value).encode("ascii", "replace") if value is not None else b""


def _seconds(value: Any, unit: float) -> bytes:
    """A number, a list of tries (``0.001, 0.120``) or Go's ``1m2.5s``, in seconds."""
    if isinstance(value, int | float):
        return b"%.4f" % (value * unit)
    if not isinstance(value, str):
        return b"-"
    if found := _GO.findall(value):
        return b"%.4f" % sum(float(number) * _GO_UNITS[name] for number, name in found)
    if unit == 1.0 or not value.isdigit():
        return value.encode("ascii", "replace")
    return b"%.4f" % (int(value) * unit)


def _time(value: Any) -> float | None:
    """Seconds since 1970 of a number in s or ms, or of a text in one of the usual forms."""
    if isinstance(value, str) and value.replace(".", "", 1).isdigit():
        value = float(value)
    if isinstance(value, int | float):
        return value / 1000 if value > 1e11 else float(value)
    text = _text(value)
    seen = stamps.iso(text)
    return stamps.common(text) if seen is None else seen
