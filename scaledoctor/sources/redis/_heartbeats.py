"""Celery's workers, heard and never asked: each publishes a heartbeat every two seconds."""

from base64 import b64decode
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from scaledoctor.errors import Unavailable, Unreachable
from scaledoctor.sources.redis._connect import open_wire
from scaledoctor.sources.redis._framework import document
from scaledoctor.sources.redis._wire import Reply, Wire
from scaledoctor.sources.redis.session import RedisSession

CHANNEL = "*celeryev/worker.heartbeat"
"""Fan-out channels are /DB.EXCHANGE/ROUTING.KEY; a key prefix may stand in front."""

LISTEN = 4.5
"""Seconds of silence after which there is no worker: two heartbeats and a half."""

SILENT = 10.0
"""Seconds after its last heartbeat for which a worker counts: five missed ones."""


@dataclass(slots=True)
class Beat:
    """One worker as it was first and last heard: when, tasks accepted, and now running."""

    first: float
    began: int
    at: float
    processed: int
    active: int


@dataclass
class Heartbeats:
    """All workers by database and name, since we began to listen."""

    since: float
    clock: Callable[[], float] = monotonic
    beats: dict[tuple[int, str], Beat] = field(default_factory=dict)
    deaf: bool = False

    def hear(self, channel: bytes, message: bytes) -> None:
        """Keep one heartbeat; anything else is passed over."""
        prefix = channel.partition(b"celeryev/")[0].rstrip(b".").rpartition(b"/")[2]
        body = document(message).get("body")
        words = document(_decoded(body))
        worker, processed = words.get("hostname"), words.get("processed")
        if not isinstance(worker, str) or not isinstance(processed, int):
            return
        key = (int(prefix) if prefix.isdigit() else 0, worker)
        now, active = self.clock(), int(words.get("active") or 0)
        known = self.beats.get(key)
        if known is None or processed < known.processed:  # a new one, or restarted
            self.beats[key] = Beat(now, processed, now, processed, active)
        else:
            known.at, known.processed, known.active = now, processed, active

    def alive(self, db: int) -> list[Beat] | None:
        """Those heard lately; None until we have listened long enough to miss one."""
        now = self.clock()
        found = [b for (n, _), b in self.beats.items() if n == db and now - b.at < SILENT]
        return None if self.deaf or (not found and now - self.since < LISTEN) else found

    def done(self, db: int) -> float | None:
        """Tasks accepted since each worker was first heard."""
        mine = [b for (n, _), b in self.beats.items() if n == db]
        return float(sum(b.processed - b.began for b in mine)) if mine else None


def _decoded(body: Any) -> bytes:
    try:
        return b64decode(body, validate=True)
    except (TypeError, ValueError):
        return b""


async def heartbeats(session: RedisSession) -> Heartbeats:
    """Listen on a connection of its own from the first call to the end of the scan."""
    kept: Heartbeats | None = session.memory.get("heartbeats")
    if kept is None:
        kept = session.memory["heartbeats"] = Heartbeats(monotonic())
        try:
            await _listen(session, kept)
        except (Unreachable, Unavailable):
            kept.deaf = True
    return kept


async def _listen(session: RedisSession, kept: Heartbeats) -> None:
    import asyncio

    where = session.where
    wire = await open_wire(where, patience=None)
    session.closing.push_async_callback(wire.close)
    _, reply = await wire.run([("CLIENT", "SETNAME", "scaledoctor"), ("PSUBSCRIBE", CHANNEL)])
    if isinstance(reply, Exception):
        kept.deaf = True
        return
    task = asyncio.create_task(_hear(wire, kept))
    session.closing.push_async_callback(_ended, task, session.closing)


async def _hear(wire: Wire, kept: Heartbeats) -> None:
    import redis

    try:
        while True:
            reply: Reply = await wire.connection.read_response(disable_decoding=True)
            if isinstance(reply, list) and len(reply) == 4 and isinstance(reply[3], bytes):
                kept.hear(reply[2], reply[3])
    except (redis.RedisError, OSError):
        kept.deaf = True  # what was not heard is then no sign of a dead worker


async def _ended(task: Any, _closing: AsyncExitStack) -> None:
    import asyncio

    task.cancel()
    await asyncio.wait([task])
