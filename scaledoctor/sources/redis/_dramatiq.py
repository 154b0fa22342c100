"""dramatiq: lists of message ids, a hash of messages, and a set for what each worker took."""

import re
from collections.abc import Sequence

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
from scaledoctor.sources.redis._marks import Mark

SPACE = b"dramatiq:"
ALIVE = 60.0
"""Seconds after its last heartbeat for which a worker counts: dramatiq's heartbeat_timeout."""

KEY = re.compile(rb"^dramatiq:(?!__)(.+?)(\.DQ|\.XQ)?(\.msgs)?$")


async def names(db: Db, keys: Sequence[bytes]) -> list[bytes]:
    """Every queue of which a key is left: all are gone when nothing waits and nothing runs."""
    return sorted({match[1] for key in keys if (match := KEY.match(key))})


async def read(db: Db, queues: Sequence[bytes]) -> list[Queue]:
    """Three round trips: heartbeats, the lists with what each worker took, the oldest message.

    A producer has a heartbeat too; a worker is who has taken messages.
    """
    now = db.now()
    (beats,) = await db.run(("ZREVRANGE", SPACE + b"__heartbeats__", 0, FEW - 1, "WITHSCORES"))
    pairs = list(zip((beats or ())[::2], (beats or ())[1::2], strict=False))
    fresh = [now - (decimal(at) or 0.0) / 1000 < ALIVE for _, at in pairs]
    marks: dict[bytes, Mark] = db.kept("dramatiq", {})
    workers = [worker for worker, _ in pairs]
    commands = [c for q in queues for c in _commands(q, marks.setdefault(q, Mark()), workers)]
    replies = await db.run(*commands)
    oldest = await _oldest(db, queues, [row[1] for row in rows(replies, 6 + len(pairs))])
    found: list[Queue] = []
    for name, row, stamp in zip(queues, rows(replies, 6 + len(pairs)), oldest, strict=True):
        ready, _, newest, position, delayed, dead, *taken = row
        marks[name].move(number(ready), newest, position)
        counts = [number(n) for n in taken]
        working = sum(bool(n) and alive for n, alive in zip(counts, fresh, strict=True))
        found.append(
            Queue(
                system="dramatiq",
                name=db.text(name),
                ready=number(ready),
                oldest=age(now, stamp),
                in_flight=sum(counts),
                consumers=working if working or number(ready) else None,
                scheduled=number(delayed),
                dead=number(dead),
                arrived=marks[name].arrived,
                done=marks[name].done,
                stuck=sum(n for n, alive in zip(counts, fresh, strict=True) if not alive),
            )
        )
    return found


def _commands(name: bytes, mark: Mark, workers: Sequence[bytes]) -> list[Command]:
    key = SPACE + name
    return [
        ("LLEN", key),
        ("LINDEX", key, 0),
        ("LINDEX", key, -1),
        mark.search(key),
        ("HLEN", key + b".DQ.msgs"),
        ("ZCARD", key + b".XQ"),
        *(("SCARD", SPACE + b"__acks__." + worker + b"." + name) for worker in workers),
    ]


async def _oldest(db: Db, queues: Sequence[bytes], heads: Sequence[object]) -> list[float | None]:
    """When the message at the head of each list was made, in seconds of the epoch."""
    messages = await db.run(
        *(
            ("HGET", SPACE + q + b".msgs", head if isinstance(head, bytes) else b"")
            for q, head in zip(queues, heads, strict=True)
        )
    )
    stamps = (document(message).get("message_timestamp") for message in messages)
    return [at / 1000 if isinstance(at, int | float) else None for at in stamps]


DRAMATIQ = Framework("dramatiq", (SPACE + b"__heartbeats__", b"dramatiq:default"), KEY, names, read)
