"""HAProxy's facts for the tests of checks, with the values that do not matter filled in."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from scaledoctor.sdk import Window
from scaledoctor.sources.haproxy import (
    Backend,
    BackendLoad,
    BackendServer,
    Frontend,
    HaproxyInfo,
    HaproxyNow,
    HaproxyStats,
    ServerLoad,
)

SECONDS = 10.0
SAMPLES = 21

_ROW = BackendServer(
    proxy="app", name="", status="UP", check="L7OK", code=200, words="", weight=1, backup=False,
    limit=None, requests=0, placed=0, errors=0, upgrades=0, failed_connects=0, failed_answers=0,
    retries=0, redispatches=0, slow_start=False, failed_checks=0, times_down=0, since=1000,
)  # fmt: skip

Seen = tuple[Window[HaproxyStats], Window[HaproxyNow]]


@dataclass(frozen=True)
class Server:
    """A server's row at the end (its counters began at 0), and what it had in hand all the time."""

    row: BackendServer
    in_hand: float
    queued: float


def server(
    name: str, requests: int = 1000, in_hand: float = 1.0, queued: float = 0.0, **changes: Any
) -> Server:
    """A server that is up, with every request placed by the algorithm unless told otherwise."""
    fields = {"requests": requests, "placed": requests, **changes}
    return Server(replace(_ROW, name=name, **fields), in_hand, queued)


def seen(
    *servers: Server,
    seconds: float = SECONDS,
    samples: int = SAMPLES,
    waiting: float = 0.0,
    sessions: int = 10,
    limit: int | None = 1000,
    **changes: Any,
) -> Seen:
    """One backend ``app`` behind the frontend ``web``; ``waiting`` is the backend's own queue.

    The backend's counters are the sums of its servers', unless ``changes`` say more.
    """
    last = [s.row for s in servers]
    first = [_before(row) for row in last]
    frontend = Frontend("web", "http", sessions, limit, 0, 0, 0)
    stats = [
        HaproxyStats((frontend,), (_backend(rows, more),), tuple(rows), 0)
        for rows, more in ((first, {}), (last, changes))
    ]
    now = [_sample(servers, i, waiting, sessions) for i in range(samples)]
    return Window(((0.0, stats[0]), (seconds, stats[1]))), Window.of(*now)


def _before(row: BackendServer) -> BackendServer:
    return replace(
        row, requests=0, placed=0, errors=0, failed_connects=0, failed_answers=0, retries=0,
        redispatches=0,
    )  # fmt: skip


def _backend(rows: Sequence[BackendServer], more: dict[str, Any]) -> Backend:
    limits = [row.limit for row in rows if row.usable]
    fields: dict[str, Any] = {
        "name": "app", "mode": "http", "algorithm": "", "cookie": "",
        "requests": sum(row.requests for row in rows),
        "errors": sum(row.errors for row in rows),
        "server_errors": sum(row.errors for row in rows),
        "failed_connects": sum(row.failed_connects for row in rows),
        "failed_answers": sum(row.failed_answers for row in rows),
        "retries": sum(row.retries for row in rows),
        "redispatches": sum(row.redispatches for row in rows),
        "servers": len(rows),
        "down": sum(row.down for row in rows),
        "parked": sum(row.parked for row in rows),
        "limit": sum(n for n in limits if n) if limits and all(limits) else None,
    }  # fmt: skip
    return Backend(**{**fields, **more})


def _whole(value: float, sample: int) -> int:
    """Whole numbers whose mean over the samples is ``value``."""
    return int((sample + 1) * value) - int(sample * value)


def _sample(servers: Sequence[Server], i: int, waiting: float, sessions: int) -> HaproxyNow:
    found = [
        ServerLoad(s.row.proxy, s.row.name, _whole(s.in_hand, i), _whole(s.queued, i), s.row.status)
        for s in servers
    ]
    load = BackendLoad(
        current=sum(one.current for one, s in zip(found, servers, strict=True) if s.row.usable),
        queued=_whole(waiting, i) + sum(one.queued for one in found),
        parting=sum(one.current for one, s in zip(found, servers, strict=True) if not s.row.usable),
    )
    busy = tuple(one for one in found if one.current or one.queued or one.status != "UP")
    return HaproxyNow({"web": sessions}, {"app": load}, busy)


def reloaded(window: Window[HaproxyStats]) -> Window[HaproxyStats]:
    """The same two readings the other way round: every counter falls."""
    (a, first), (b, last) = window.samples
    return Window(((a, last), (b, first)))


def info(**changes: Any) -> HaproxyInfo:
    """The process after an hour."""
    fields: dict[str, Any] = {
        "version": "2.8.25", "pid": 1, "uptime": 3600, "threads": 2, "limit": 1000, "current": 10,
        "reached": 0, "idle": 0.9,
    }  # fmt: skip
    return HaproxyInfo(**{**fields, **changes})
