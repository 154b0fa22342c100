"""Which format a log has: every format reads a sample, and the one that reads most wins."""

from collections.abc import Sequence

from scaledoctor.errors import Unavailable
from scaledoctor.logs.access.combined import combined
from scaledoctor.logs.access.envoy import ENVOY
from scaledoctor.logs.access.haproxy import HAPROXY
from scaledoctor.logs.access.json_lines import json_lines
from scaledoctor.logs.access.layout import Layout

SAMPLE = 200
"""Lines that vote."""

UNDERSTOOD = 0.5
"""Share of lines that must be read; what describes half of the requests describes none."""

KNOWN = "the formats of nginx, HAProxy (option httplog), Envoy, Traefik, Caddy, common, or JSON"


def recognise(sample: Sequence[bytes]) -> Layout:
    """Return the layout that reads most lines of a sample.

    Raises:
        Unavailable: no line at all, no text, or no format that reads half of the lines.

    """
    lines = [line for line in sample if line.strip(b"\0\r\n\t ")][-SAMPLE:]
    if not lines:
        raise Unavailable("the log is empty", "is the log written somewhere else?")
    block = b"\n".join(lines) + b"\n"
    layouts = [HAPROXY, ENVOY, combined(lines), json_lines(lines)]
    read = [(len(one.rows(block)), one) for one in layouts if one is not None]
    most, best = max(read, key=lambda pair: pair[0])
    if most < UNDERSTOOD * len(lines):
        raise Unavailable(_why(block, most, len(lines)), f"give it an access log in {KNOWN}")
    return best


def _why(block: bytes, read: int, lines: int) -> str:
    odd = sum(byte < 32 and byte not in b"\t\n\r\x1b" for byte in block[:4096])
    if odd > 0.05 * len(block[:4096]):
        return "this is not a text file"
    return f"only {read} of {lines} lines look like requests of an access log"
