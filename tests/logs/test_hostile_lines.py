"""Lines made to be slow: every format reads 64 kB of anything in linear time."""

import time

import pytest

from scaledoctor.logs.access.columns import infer
from scaledoctor.logs.access.envoy import ENVOY
from scaledoctor.logs.access.haproxy import HAPROXY
from scaledoctor.logs.access.json_lines import decoded
from scaledoctor.logs.access.layout import Layout
from scaledoctor.logs.access.recognise import recognise
from scaledoctor.logs.access.routes import route
from scaledoctor.logs.readers import LONGEST
from tests.logs.lines import nginx

LAYOUTS = {
    "nginx": (recognise([nginx().encode()] * 3),
              b'[25/Nov/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 5 '),
    "HAProxy": (HAPROXY, b"[25/Nov/2026:10:00:00.123] web app/s1 0/0/0/1/1 200 1 - - ---- "
                b'1/1/1/1/0 0/0 {a} "GET /a HTTP/1.1'),
    "Envoy": (ENVOY, b'[2026-11-25T10:00:00.310Z] "GET /a HTTP/2" 200 - 0 512 226 220 "a" "b" '),
}  # fmt: skip

UNITS = (b'"', b"[", b" ", b"{} ", b"\\", b"a, ", b"a", b"a : ", b"0.123, ", b' a="b"', b" 12",
         b"10.0.0.1:80, ", b"502, ", b"/", b"a1", b"/a1")  # fmt: skip

CPU_SECONDS = 10.0
"""All of it takes half a second; one pattern that goes back over a line takes a minute."""


@pytest.mark.parametrize("name", LAYOUTS)
def test_no_line_takes_long(name: str) -> None:
    """CPU time, which a busy machine does not add to."""
    layout, start = LAYOUTS[name]
    began = time.process_time()
    for unit in (*UNITS, start):
        for cut in range(0, len(start), 3):
            _reads(layout, start[:cut], unit)
    assert time.process_time() - began < CPU_SECONDS


def _reads(layout: Layout, start: bytes, unit: bytes) -> None:
    line = (start + unit * (LONGEST // len(unit)))[:LONGEST]
    layout.rows(line + b"\n")


def test_no_path_column_or_object_takes_long() -> None:
    began = time.process_time()
    for unit in UNITS:
        data = (unit * LONGEST)[:LONGEST]
        route(b"GET /" + data)
        infer([(b"200", b" " + data)] * 3)
        list(decoded(b'{"a":' + data))
        list(decoded(b'{"a":' * (LONGEST // 5)))
    assert time.process_time() - began < CPU_SECONDS
