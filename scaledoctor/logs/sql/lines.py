"""Syslog's lines as the server would have written them to a file."""

import re
from datetime import UTC, datetime

from scaledoctor.logs.stamps import iso

_LINE = re.compile(
    rb"(?:<\d{1,3}>)?(?:1 )?"
    rb"(?:(?P<old>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)"
    rb"|(?P<new>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)) "
    rb"\S{1,255} (?:\S{1,48}\[(?P<pid>\d+)\]:|\S{1,48} (?P<pid5>\d+) \S+ (?:-|\[[^\]]*\])) ?"
    rb"(?:\[\d+-(?P<part>\d+)\] ?)?(?P<text>.*)",
    re.DOTALL,
)


def syslog_line(line: bytes) -> bytes | None:
    """A line of RFC 3164 or 5424 with time and pid in front; a continued one behind a tab.

    RFC 3164 has no year: it is this one, or the last when that lies ahead.
    """
    found = _LINE.match(line)
    if found is None:
        return None
    text = found["text"].replace(b"#011", b"\t").replace(b"^I", b"\t")
    if int(found["part"] or 1) > 1:
        return b"\t" + text.lstrip(b"\t") if not BELONGS.search(text) else _headed(found, text)
    return _headed(found, text)


BELONGS = re.compile(rb"(?:DETAIL|HINT|CONTEXT|STATEMENT|QUERY|LOCATION):  ")


def _headed(found: re.Match[bytes], text: bytes) -> bytes:
    when = iso(found["new"]) if found["new"] else _this_year(found["old"])
    return stamped(when or 0.0, found["pid"] or found["pid5"], text)


def stamped(when: float, pid: bytes, text: bytes) -> bytes:
    """A line behind ``%m [%p] ``."""
    moment = datetime.fromtimestamp(when, UTC)
    head = moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03} UTC "
    return head.encode() + b"[" + pid + b"] " + text


def _this_year(text: bytes) -> float:
    now = datetime.now(UTC)
    try:
        when = datetime.strptime(f"{now.year} {text.decode()} +0000", "%Y %b %d %H:%M:%S %z")
    except ValueError:
        return 0.0
    ahead = (when - now).total_seconds() > 86400
    return (when.replace(year=now.year - 1) if ahead else when).timestamp()
