"""BullMQ: a hash that says so, lists for what waits and what is worked on, locks of workers."""

import re
from base64 import b64encode
from collections.abc import Sequence

from scaledoctor.sources.queues import Queue
from scaledoctor.sources.redis._allowed import Command
from scaledoctor.sources.redis._framework import FEW, Db, Framework, age, decimal, number, rows
from scaledoctor.sources.redis._wire import Reply

META = b":meta"
WAITING = ("wait", "paused")
SETS = ("prioritized", "delayed", "failed", "waiting-children")


async def names(db: Db, keys: Sequence[bytes]) -> list[bytes]:
    """PREFIX:NAME of each hash that carries BullMQ's version or its options."""
    candidates = sorted(key for key in keys if key.endswith(META))
    facts = await db.run(*(("HMGET", key, "version", "opts.maxLenEvents") for key in candidates))
    pairs = zip(candidates, facts, strict=True)
    return [key.removesuffix(META) for key, row in pairs if isinstance(row, list) and any(row)]


async def read(db: Db, queues: Sequence[bytes]) -> list[Queue]:
    """Two round trips: the lists, then the oldest job and the locks of those being worked on."""
    now = db.now()
    replies = await db.run(*(command for q in queues for command in _commands(q)))
    connected = await db.clients()
    found: list[Queue] = []
    for name, row in zip(queues, rows(replies, 11), strict=True):
        wait, paused, prioritized, delayed, failed, children, head, active, jobs, meta, ids = row
        ready = number(wait) + number(paused) + number(prioritized)
        oldest, stuck = await _looked_at(db, name, head, jobs)
        given = decimal(ids)
        open_jobs = ready + number(delayed) + number(children) + number(active)
        workers = None if connected is None else _workers(name, {c.name for c in connected})
        found.append(
            Queue(
                system="bullmq",
                name=db.text(name.rpartition(b":")[2]),
                ready=ready,
                oldest=None if number(prioritized) else age(now, oldest),
                in_flight=number(active),
                consumers=workers,
                scheduled=number(delayed),
                dead=number(failed),
                arrived=given,
                done=None if given is None else given - open_jobs,
                paused=isinstance(meta, list) and meta[0] == b"1",
                stuck=stuck,
            )
        )
    return found


def _commands(name: bytes) -> list[Command]:
    key = name.decode("latin-1")

    def at(suffix: str) -> bytes:
        return f"{key}:{suffix}".encode("latin-1")

    return [
        *(("LLEN", at(suffix)) for suffix in WAITING),
        *(("ZCARD", at(suffix)) for suffix in SETS),
        ("LINDEX", at("wait"), -1),
        ("LLEN", at("active")),
        ("LRANGE", at("active"), 0, FEW - 1),
        ("HMGET", at("meta"), "paused"),
        ("GETRANGE", at("id"), 0, 20),
    ]


async def _looked_at(
    db: Db, name: bytes, head: Reply, jobs: Reply
) -> tuple[float | None, int | None]:
    """When the oldest job came, and how many jobs of those looked at nobody holds a lock on."""
    active = jobs if isinstance(jobs, list) else []
    stamp, *locks = await db.run(
        ("HGET", name + b":" + (head or b"0"), "timestamp"),
        *(("EXISTS", name + b":" + job + b":lock") for job in active),
    )
    milliseconds = decimal(stamp) if head else None
    oldest = None if milliseconds is None else milliseconds / 1000
    return oldest, sum(lock == 0 for lock in locks)


def _workers(name: bytes, connected: set[str]) -> int:
    """A worker's blocking connection is called PREFIX:BASE64(NAME), or that and :w:ITS-NAME."""
    prefix, _, queue = name.rpartition(b":")
    called = f"{prefix.decode('utf-8', 'replace')}:{b64encode(queue).decode()}"
    return sum(c == called or c.startswith(f"{called}:w") for c in connected)


BULLMQ = Framework("bullmq", (), re.compile(rb".:[^:]+:meta$"), names, read)
