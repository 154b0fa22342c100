"""Envoy's default format, and Istio's."""

import re

from scaledoctor.logs import stamps
from scaledoctor.logs.access.layout import ABORTED, REQUEST, Layout, Row

# [start] "METHOD PATH PROTOCOL" code flags (Istio: details termination "failure") rx tx duration
# upstream-service-time "forwarded" "agent" "request id" "authority" "upstream host"
_LINE = re.compile(
    rb"\[\d{4}-\d\d-\d\dT[\d:.]++Z?\] " + REQUEST + rb" (\d{1,3}) ([^ \n]++) "
    rb'(?:[^ "\n]++ [^ "\n]++ "[^"\n]*+" )?+\d+ \d+ (\d+|-) (\d+|-) '
    rb'"[^"\n]*+" "[^"\n]*+" "[^"\n]*+" "[^"\n]*+" "(?:tcp://)?([^"\n]*+)"[^\n]*'
)

_CLIENT = b"DC"
"""The response flag of a client that went away; all others are Envoy's own troubles."""


def _rows(block: bytes) -> list[Row]:
    return [_row(found) for found in _LINE.findall(block)]


def _row(found: tuple[bytes, ...]) -> Row:
    request, status, flags, total, spent, server = found
    answers = status
    if flags != b"-":
        answers = b"-"
        if _CLIENT in flags.split(b","):
            status = ABORTED
    return request, status, total, spent, server, answers, b""


ENVOY = Layout(
    "Envoy",
    _rows,
    stamps.iso,
    scale=0.001,
    timed=True,
    upstream_timed=True,
    upstreams=True,
    answers=True,
)
