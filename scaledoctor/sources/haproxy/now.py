"""What HAProxy has in hand now: sessions, requests at the servers, requests that wait."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.haproxy._csv import BACKEND, FRONTEND, SERVER, number, rows
from scaledoctor.sources.haproxy.session import HaproxySession
from scaledoctor.sources.haproxy.stats import choose

SHARE = 0.1
"""Of the time at most is spent reading: with 10,000 servers a sample is held for seconds."""


@dataclass(frozen=True, slots=True)
class BackendLoad:
    """Requests at a backend's servers, in its queues, and at servers that get no new ones."""

    current: int
    queued: int
    parting: int = 0


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """Requests at one server and in its own queue, and its status."""

    proxy: str
    name: str
    current: int
    queued: int
    status: str


@fact
@dataclass(frozen=True, slots=True)
class HaproxyNow:
    """One sample: sessions by frontend, load by backend; idle backends are left out.

    ``servers`` are the listed ones that have a request or cannot take one; the others are idle.
    """

    sessions: Mapping[str, int]
    backends: Mapping[str, BackendLoad]
    servers: tuple[ServerLoad, ...]


@probe(cost="1 command or page, about 0.5 kB for each server, twice a second at most",
       cadence=Cadence.SAMPLED)  # fmt: skip
async def now(haproxy: HaproxySession) -> HaproxyNow:
    """Read the gauges of the CSV; a sample that was dear is given again for ten times as long."""
    import asyncio

    if haproxy.held is not None and monotonic() < haproxy.hold_until:
        return haproxy.held
    began = monotonic()
    text = await haproxy.stat()
    haproxy.held = await asyncio.to_thread(_now, haproxy, text)
    haproxy.hold_until = began + (monotonic() - began) / SHARE
    return haproxy.held


def _now(haproxy: HaproxySession, text: str) -> HaproxyNow:
    found = list(rows(text))
    listed = choose(haproxy, found)
    sessions: dict[str, int] = {}
    current: dict[str, int] = defaultdict(int)
    queued: dict[str, int] = defaultdict(int)
    parting: dict[str, int] = defaultdict(int)
    servers: list[ServerLoad] = []
    for row in found:
        proxy = haproxy.name(row["pxname"])
        if row["type"] == FRONTEND:
            sessions[proxy] = number(row, "scur")
        elif row["type"] == BACKEND:
            queued[proxy] += number(row, "qcur")
        elif row["type"] == SERVER:
            load = ServerLoad(
                proxy, haproxy.name(row["svname"]), number(row, "scur"), number(row, "qcur"),
                haproxy.text(row.get("status", "")),
            )  # fmt: skip
            queued[proxy] += load.queued
            able = load.status.startswith(("UP", "no check")) and number(row, "weight") > 0
            (current if able else parting)[proxy] += load.current
            busy = load.current or load.queued or not able
            if busy and (row["pxname"], row["svname"]) in listed:
                servers.append(load)
    return HaproxyNow(
        sessions=sessions,
        backends={
            proxy: BackendLoad(current[proxy], queued[proxy], parting[proxy])
            for proxy in queued
            if current[proxy] or queued[proxy] or parting[proxy]
        },
        servers=tuple(servers),
    )
