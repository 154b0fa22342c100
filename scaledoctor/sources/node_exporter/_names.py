"""All names of a machine, so that a database on it is known to be there."""

import os
import time
from collections.abc import Iterable

from scaledoctor.sources.host.session import PROC, text
from scaledoctor.sources.node_exporter._series import Series
from scaledoctor.targets import HERE

SECONDS = 1.0
"""For looking up one name; a resolver that hangs must not cost the scan."""

MOST = 10
"""Names that are looked up: each may cost the time above, all at once."""


async def names(host: str, others: Iterable[str], series: Series) -> tuple[str, ...]:
    """Every name of the machine that these series tell about; the first one is for people.

    ``host`` is where the exporter was reached, or is scraped by others; ``others`` are the
    machines of the other targets: those with an address in common are this one. A loopback
    address is only this machine's if name and boot time are ours: it may be a tunnel.
    """
    import asyncio

    nodename = series.label("node_uname_info", "nodename")
    found: set[str] = set()
    if host and not is_loopback(host):
        asked = [host, *list(dict.fromkeys(o for o in others if o and o != HERE))[:MOST]]
        known = await asyncio.gather(*map(_addresses, asked))
        mine = known[0]
        found |= {host, *mine}
        found |= {name for name, theirs in zip(asked, known, strict=True) if mine & theirs}
    first = (*((HERE,) if _is_ours(series) else ()), *((nodename,) if nodename else ()))
    return (*first, *sorted(found - {*first}))


def is_loopback(host: str) -> bool:
    """Whether a name or address means whatever machine it is used on."""
    return host in (HERE, "::1") or host.startswith("127.")


def _is_ours(series: Series) -> bool:
    """Whether the node's name and boot time are those of this machine."""
    uptime = (text(PROC / "uptime") or "").split()
    booted = series.maybe("node_boot_time_seconds")
    if not uptime or booted is None:
        return False
    close = abs(time.time() - float(uptime[0]) - booted) < 5.0
    return close and series.label("node_uname_info", "nodename") == os.uname().nodename


async def _addresses(host: str) -> set[str]:
    """What a name resolves to; nothing when it cannot be looked up in time."""
    import asyncio
    import socket

    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(SECONDS):
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return {str(address[4][0]) for address in found}
