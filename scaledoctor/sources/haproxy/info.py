"""HAProxy's process: its limit, its connections, how idle its event loop is."""

from dataclasses import dataclass

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.haproxy.session import HaproxySession


@fact
@dataclass(frozen=True, slots=True)
class HaproxyInfo:
    """One reading; what the page or an old version does not tell is None.

    ``uptime`` in seconds; ``limit`` is the global maxconn and ``reached`` counts how often an
    accepted connection brought it there; ``idle`` is the event loop's idle share (0..1).
    """

    version: str
    pid: int | None
    uptime: int | None
    threads: int | None
    limit: int | None
    current: int | None
    reached: int | None
    idle: float | None


@probe(cost="1 command or one small page, twice", cadence=Cadence.EDGES)
async def info(haproxy: HaproxySession) -> HaproxyInfo:
    """Read ``show info``, or the head of the stats page."""
    told = await haproxy.info()

    def count(name: str) -> int | None:
        text = told.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None

    idle = count("Idle_pct")
    return HaproxyInfo(
        version=haproxy.text(told.get("Version", "")),
        pid=count("Pid"),
        uptime=count("Uptime_sec"),
        threads=count("Nbthread"),
        limit=count("Maxconn"),
        current=count("CurrConns"),
        reached=count("MaxconnReached"),
        idle=None if idle is None else min(idle, 100) / 100,
    )
