"""Numbers and names as people read them, and HAProxy's runtime commands."""

from collections.abc import Sequence

from scaledoctor.sdk import Fix
from scaledoctor.sources.haproxy import BackendServer

SHOWN = 3
"""Servers that one sentence names."""

SOCKET = "socat stdio /run/haproxy/admin.sock"
"""Where Debian's package puts a socket of level admin."""

RELOAD = "haproxy -c -f /etc/haproxy/haproxy.cfg && systemctl reload haproxy"


def milliseconds(seconds: float) -> str:
    """8 ms, 250 ms, 1.2 s: what a request takes."""
    if seconds < 0.001:
        return "less than 1 ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def names(items: Sequence[str]) -> str:
    """The first few, and how many more."""
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + more


def last_check(row: BackendServer) -> str:
    """What the health check said last: L7STS/503 (Service Unavailable)."""
    code = f"/{row.code}" if row.code is not None else ""
    words = f" ({row.words})" if row.words else ""
    return f"{row.check or row.status}{code}{words}"


def runtime(command: str) -> str:
    """A command for the runtime socket, ready to paste into a shell."""
    return f"echo '{command}' | {SOCKET}"


def setting(title: str, lines: Sequence[str], *, risk: str, verify: str, undo: str = "") -> Fix:
    """A change of haproxy.cfg."""
    return Fix(
        title,
        (*lines, f"# then: {RELOAD}"),
        language="text",
        risk=risk,
        verify=verify,
        undo=undo or "take the lines out again and reload",
    )
