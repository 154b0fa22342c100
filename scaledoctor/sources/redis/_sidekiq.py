"""Sidekiq: lists of jobs, a hash for each process, and sets that all queues share."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scaledoctor.sources.queues import ALL, Queue
from scaledoctor.sources.redis._allowed import Command
from scaledoctor.sources.redis._framework import (
    FEW,
    Db,
    Framework,
    age,
    decimal,
    document,
    number,
    rows,
)
from scaledoctor.sources.redis._wire import Reply

ALIVE = 60.0
"""Seconds after its last beat for which a process counts: its key lives as long."""


SHARED: tuple[Command, ...] = (
    ("ZCARD", b"schedule"),
    ("ZCARD", b"retry"),
    ("ZCARD", b"dead"),
    ("GETRANGE", b"stat:processed", 0, 20),
)
"""What all queues have together."""


@dataclass(frozen=True, slots=True)
class Process:
    """A living process: threads in all and busy, and the queues that it serves."""

    threads: int
    busy: int
    quiet: bool
    queues: frozenset[str]


async def names(db: Db, keys: Sequence[bytes]) -> list[bytes]:
    """The queues that were ever used; the set alone may be somebody else's."""
    if not {b"processes", b"stat:processed"} & set(keys):
        return []
    (members,) = await db.members(b"queues")
    return members


async def read(db: Db, queues: Sequence[bytes]) -> list[Queue]:
    """Two round trips: lists and sets, then the processes."""
    now = db.now()
    commands = [command for q in queues for command in _commands(q)]
    *replies, scheduled, retrying, dead, processed = await db.run(*commands, *SHARED)
    processes = await _processes(db, now)
    alone = len(queues) == 1
    common = Queue(
        system="sidekiq",
        name=ALL,
        ready=0,
        scheduled=number(scheduled),
        retrying=number(retrying),
        dead=number(dead),
        done=decimal(processed),
    )
    found: list[Queue] = [] if alone else [common]
    for name, (ready, oldest, paused) in zip(queues, rows(replies, 3), strict=True):
        mine = [p for p in processes if name.decode("utf-8", "replace") in p.queues]
        working = [p for p in mine if not p.quiet]
        found.append(
            Queue(
                system="sidekiq",
                name=db.text(name),
                ready=number(ready),
                oldest=age(now, _enqueued(oldest)),
                in_flight=sum(p.busy for p in mine),
                slots=sum(p.threads for p in working),
                consumers=len(working),
                paused=bool(paused),
            )
        )
    if alone:
        return [_with(queue, common) for queue in found]
    return found


def _with(queue: Queue, common: Queue) -> Queue:
    """The only queue has what is told of all."""
    return replace(
        queue,
        scheduled=common.scheduled,
        retrying=common.retrying,
        dead=common.dead,
        done=common.done,
    )


def _commands(name: bytes) -> list[Command]:
    key = b"queue:" + name
    return [("LLEN", key), ("LINDEX", key, -1), ("SISMEMBER", b"paused", name)]


def _enqueued(job: Reply) -> float | None:
    """Seconds as a float up to Sidekiq 7, milliseconds as an integer from 8 on."""
    words = document(job)
    stamp = words.get("enqueued_at", words.get("created_at"))
    if not isinstance(stamp, int | float):
        return None
    return stamp / 1000 if isinstance(stamp, int) else stamp


async def _processes(db: Db, now: float) -> list[Process]:
    (keys,) = await db.members(b"processes")
    facts = await db.run(*(("HMGET", key, "info", "busy", "beat", "quiet") for key in keys[:FEW]))
    found: list[Process] = []
    for row in facts:
        beat = decimal(row[2]) if isinstance(row, list) else None
        if beat is None or now - beat > ALIVE:
            continue  # the set keeps names of processes that are gone
        info = document(row[0])
        served = info.get("queues")
        found.append(
            Process(
                threads=int(decimal(info.get("concurrency")) or 0),
                busy=int(decimal(row[1]) or 0),
                quiet=row[3] == b"true",
                queues=frozenset(map(str, served)) if isinstance(served, list) else frozenset(),
            )
        )
    return found


SIDEKIQ = Framework(
    "sidekiq",
    (b"queues", b"processes", b"stat:processed"),
    re.compile(rb"(queues|processes|stat:processed)$"),
    names,
    read,
)
