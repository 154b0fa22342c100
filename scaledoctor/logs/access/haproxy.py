"""HAProxy's ``option httplog``, with or without syslog's or journald's prefix."""

import re

from scaledoctor.logs import stamps
from scaledoctor.logs.access.layout import ABORTED, Layout, Row

# client [accept date] frontend backend/server TR/Tw/Tc/Tr/Ta status bytes cookies state
# actconn/feconn/beconn/srv_conn/retries srv_queue/backend_queue {captured} "request"
_LINE = re.compile(
    rb"\[\d\d/[A-Z][a-z]{2}/\d{4}:[\d:.]++\] [^ \n]++ ([^ /\n]++/[^ \n]++) "
    rb"-?\d+/(-?\d+)/-?\d+/(-?\d+)/\+?(-?\d+) (-1|\d{1,3}) \+?\d+ [^ \n]++ [^ \n]++ ([^ \n]{4}) "
    rb"[^ /\n]++/[^ /\n]++/[^ /\n]++/[^ /\n]++/\+?(\d+) \d+/\d+ "
    rb'(?:\{[^}\n]*+\} )*+"([A-Z]+ [^ ?"\n]*+)?[^\n]*'
)

_LEFT = (b"C", b"c")
"""First letters of a termination state in which the client went away (cD: it was too slow)."""

_NO_REQUEST = b"R"
"""The second letter where it went before it had asked for anything: an idle connection."""


def _rows(block: bytes) -> list[Row]:
    return [_row(found) for found in _LINE.findall(block)]


def _row(found: tuple[bytes, ...]) -> Row:
    server, waited, spent, total, status, state, retries, request = found
    answers = status
    if state[:2] != b"--":
        answers = b"-"  # HAProxy's own answer, or none
        if state[:1] in _LEFT and state[1:2] != _NO_REQUEST:
            status = ABORTED
    if retries != b"0":
        answers = b"-, " * min(int(retries), 9) + answers
    if spent == b"-1":
        spent = b"-"
    return request, status, total, spent, server, answers, waited


HAPROXY = Layout(
    "HAProxy httplog",
    _rows,
    stamps.common,
    scale=0.001,
    timed=True,
    upstream_timed=True,
    upstreams=True,
    answers=True,
    grouped=True,
)
