"""Celery: kombu's lists, one for each priority, and the hash of what workers have taken."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from scaledoctor.sources.queues import Queue
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
from scaledoctor.sources.redis._heartbeats import Heartbeats, heartbeats
from scaledoctor.sources.redis._wire import Reply

SEPARATOR = b"\x06\x16"
PRIORITIES = (b"", SEPARATOR + b"3", SEPARATOR + b"6", SEPARATOR + b"9")
"""kombu's default priority_steps 0, 3, 6, 9; the first has no suffix."""

VISIBILITY = 3600.0
"""kombu's default visibility_timeout; the broker does not tell it."""

LOOK = 4.0
"""Seconds between two looks at what the taken messages are."""

LONGEST = 16_384
"""Bytes of a message whose headers are read; its body is dropped at once."""

BINDING = re.compile(rb"_kombu\.binding\.(.+)$")


@dataclass(frozen=True, slots=True)
class Taken:
    """Of the messages that were looked at: how many of a queue, with a time to wait for, again."""

    of: Mapping[bytes, int]
    later: Mapping[bytes, int]
    again: Mapping[bytes, int]
    looked: int


async def names(db: Db, keys: Sequence[bytes]) -> list[bytes]:
    """Queues with a binding, or named celery; not those of remote control and events."""
    bindings = [key for key in keys if BINDING.search(key)]
    members = [m for some in await db.members(*bindings) for m in some]
    found = {m.rpartition(SEPARATOR)[2] for m in members}
    found |= {b"celery"} & set(keys)
    internal = re.compile(rb"\.pidbox$|^celeryev")
    return sorted(name for name in found if name and not internal.search(name))


async def read(db: Db, queues: Sequence[bytes]) -> list[Queue]:
    """The lists in one round trip; heartbeats are heard, the taken messages looked at now and then.

    What a worker tells is told of all its queues together: it is each queue's own where there is
    only one.
    """
    heard = await heartbeats(db.session)
    lengths: list[Command] = [("LLEN", q + p) for q in queues for p in PRIORITIES]
    *counts, unacked, first = await db.run(
        *lengths, ("HLEN", b"unacked"), ("ZRANGE", b"unacked_index", 0, 0, "WITHSCORES")
    )
    taken = await _taken(db, number(unacked))
    consumers, alive = await _consumers(db, heard), heard.alive(db.number)
    active = sum(b.active for b in alive) if alive else None
    held = age(db.now(), decimal(first[1])) if isinstance(first, list) and first else None
    found: list[Queue] = []
    for name, row in zip(queues, rows(counts, len(PRIORITIES)), strict=True):
        share = number(unacked) / taken.looked if taken.looked else 0.0
        mine = round(taken.of.get(name, 0) * share) if len(queues) > 1 else number(unacked)
        later = round(taken.later.get(name, 0) * share)
        found.append(
            Queue(
                system="celery",
                name=db.text(name),
                ready=sum(map(number, row)),
                in_flight=active if len(queues) == 1 else None,
                consumers=consumers,
                scheduled=later,
                retrying=round(taken.again.get(name, 0) * share),
                done=heard.done(db.number) if len(queues) == 1 else None,
                # Early or late acknowledgement: a running task may be among the taken ones.
                reserved=max(0, mine - later - (active or 0)) if taken.looked else 0,
                idle=sum(not b.active for b in alive) if alive and not later else None,
                stuck=mine if consumers == 0 else 0 if consumers else None,
                held=held if mine else None,
                timeout=VISIBILITY,
            )
        )
    return found


async def _consumers(db: Db, heard: Heartbeats) -> int | None:
    """Workers with a heartbeat; none only where nobody else is seen to listen for tasks either."""
    alive = heard.alive(db.number)
    if alive or alive is None:
        return len(alive) if alive else None
    connected = await db.clients()
    silent = connected is not None and not any(c.waits or c.patterns for c in connected)
    return 0 if silent else None


async def _taken(db: Db, count: int) -> Taken:
    """Look at the headers of the longest held messages, to know their queues and their times."""
    kept: dict[str, Any] = db.kept("taken", {})
    if not count:
        return Taken({}, {}, {}, 0)
    if "at" in kept and monotonic() - kept["at"] < LOOK and kept["seen"].looked:
        seen: Taken = kept["seen"]
        return seen
    (tags,) = await db.run(("ZRANGE", b"unacked_index", 0, FEW - 1))
    lengths = await db.run(*(("HSTRLEN", b"unacked", tag) for tag in tags or ()))
    short = [t for t, n in zip(tags or (), lengths, strict=True) if 0 < number(n) <= LONGEST]
    (messages,) = await db.run(("HMGET", b"unacked", *short)) if short else ([],)
    kept["at"], kept["seen"] = monotonic(), taken_of(messages or ())
    return taken_of(messages or ())


def taken_of(messages: Sequence[Reply]) -> Taken:
    """Count by queue what kombu stored as [message, exchange, routing key]; bodies are dropped."""
    of: dict[bytes, int] = {}
    later: dict[bytes, int] = {}
    again: dict[bytes, int] = {}
    for text in messages:
        wrapped = document(b'{"m":%b}' % text).get("m") if isinstance(text, bytes) else None
        if not isinstance(wrapped, list) or len(wrapped) < 3 or not isinstance(wrapped[0], dict):
            continue
        name = str(wrapped[2]).encode()
        headers = wrapped[0].get("headers")
        headers = headers if isinstance(headers, dict) else {}
        of[name] = of.get(name, 0) + 1
        if headers.get("eta"):
            later[name] = later.get(name, 0) + 1
        if headers.get("retries"):
            again[name] = again.get(name, 0) + 1
    return Taken(of, later, again, sum(of.values()))


CELERY = Framework(
    "celery",
    (b"_kombu.binding.celery", b"celery", b"unacked"),
    re.compile(rb"_kombu\.binding\.[^.]|^celery$"),
    names,
    read,
)
