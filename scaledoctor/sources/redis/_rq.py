"""RQ: lists of job ids, a hash for each job and each worker."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from scaledoctor.sources.queues import Queue
from scaledoctor.sources.redis._allowed import Command
from scaledoctor.sources.redis._clients import Client
from scaledoctor.sources.redis._framework import FEW, Db, Framework, age, decimal, iso, number, rows
from scaledoctor.sources.redis._marks import Mark
from scaledoctor.sources.redis._wire import Reply

FRESH = 90.0
"""Seconds for which a heartbeat alone proves a worker alive: a busy one beats every 30 s and its
key lives for 90 s (rq.worker.base). An idle one beats every 405 s: there its connection counts."""

PREFIX = b"rq:queue:"

COUNTS = ("successful_job_count", "failed_job_count")
"""A worker's own, since it started."""


@dataclass(frozen=True, slots=True)
class Worker:
    """Whether it has nothing to do, and how many jobs it has ended."""

    idle: bool
    done: int


async def names(db: Db, keys: Sequence[bytes]) -> list[bytes]:
    """The queues that were ever used."""
    (members,) = await db.members(b"rq:queues")
    return [m.removeprefix(PREFIX) for m in members if m.startswith(PREFIX)]


async def read(db: Db, queues: Sequence[bytes]) -> list[Queue]:
    """Two round trips: the lists, then the oldest job of each and the workers."""
    now = db.now()
    marks: dict[bytes, Mark] = db.kept("rq", {})
    commands = [c for q in queues for c in _commands(q, marks.setdefault(q, Mark()), now)]
    *replies, suspended = await db.run(*commands, ("EXISTS", b"rq:suspended"))
    workers = await db.members(*(b"rq:workers:" + q for q in queues))
    heads = [row[1] or b"" for row in rows(replies, 8)]
    times = await db.run(*(("HGET", b"rq:job:" + head, "enqueued_at") for head in heads))
    alive = await _alive(db, {w for some in workers for w in some[:FEW]}, now)
    found: list[Queue] = []
    for name, row, stamp, some in zip(queues, rows(replies, 8), times, workers, strict=True):
        ready, _, newest, position, in_flight, stuck, failed, scheduled = row
        mark = marks[name]
        mark.move(number(ready), newest, position)
        mine = [w for w in some[:FEW] if w in alive]
        done = _done([alive[w] for w in mine if sum(w in s for s in workers) == 1], len(mine))
        left = number(ready) + number(in_flight)
        found.append(
            Queue(
                system="rq",
                name=db.text(name),
                ready=number(ready),
                oldest=age(now, iso(stamp)),
                in_flight=number(in_flight),
                slots=len(mine),  # a worker does one job at a time
                consumers=len(mine),
                scheduled=number(scheduled),
                dead=number(failed),
                arrived=mark.arrived if done is None else done + left,
                done=mark.done if done is None else done,
                paused=bool(suspended),
                idle=sum(alive[w].idle for w in mine),
                stuck=number(stuck),
            )
        )
    return found


def _commands(name: bytes, mark: Mark, now: float) -> list[Command]:
    key = PREFIX + name
    return [
        ("LLEN", key),
        ("LINDEX", key, 0),
        ("LINDEX", key, -1),
        mark.search(key),
        ("ZCARD", b"rq:wip:" + name),
        ("ZCOUNT", b"rq:wip:" + name, "-inf", f"({now:.0f}"),  # scored by when to give it up
        ("ZCARD", b"rq:failed:" + name),
        ("ZCARD", b"rq:scheduled:" + name),
    ]


def _done(own: Sequence[Worker], workers: int) -> float | None:
    """What the queue's workers counted; None where one of them serves other queues, too.

    The list itself tells only of jobs that were seen in it at some reading.
    """
    return float(sum(w.done for w in own)) if own and len(own) == workers else None


async def _alive(db: Db, workers: set[bytes], now: float) -> dict[bytes, Worker]:
    """Workers that live.

    A worker's connection has its name, but loses it when the connection is made anew.
    """
    connected = await db.clients()
    ordered = sorted(workers)
    facts = await db.run(
        *(("HMGET", key, "last_heartbeat", "ip_address", "state", *COUNTS) for key in ordered)
    )
    found: dict[bytes, Worker] = {}
    for key, row in zip(ordered, facts, strict=True):
        if isinstance(row, list) and row[0] and _lives(key, row, connected, now):
            found[key] = Worker(row[2] == b"idle", sum(int(decimal(n) or 0) for n in row[3:]))
    return found


def _lives(
    key: bytes, row: Sequence[Reply], connected: Sequence[Client] | None, now: float
) -> bool:
    beat = iso(row[0])
    if beat is not None and now - beat < FRESH:
        return True
    if connected is None:
        return True  # its key has not run out; more cannot be known
    name = key.rpartition(b":")[2].decode("utf-8", "replace")
    address = (row[1] or b"").decode("utf-8", "replace")
    known = any(c.name == name or c.address == address for c in connected)
    return known or any(c.waits and not c.name for c in connected)


RQ = Framework("rq", (b"rq:queues",), re.compile(rb"rq:queues$"), names, read)
