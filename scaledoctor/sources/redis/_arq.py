"""arq: a sorted set of job ids by the time at which each is due."""

import re
from collections.abc import Sequence

from scaledoctor.sources.queues import Queue
from scaledoctor.sources.redis._allowed import Command
from scaledoctor.sources.redis._framework import FEW, Db, Framework, age, decimal, number, rows

HEALTH = b":health-check"


async def names(db: Db, keys: Sequence[bytes]) -> list[bytes]:
    """The default queue, and every queue whose workers left a health check."""
    named = {key.removesuffix(HEALTH) for key in keys if key.endswith(HEALTH)}
    return sorted(named | ({b"arq:queue"} & set(keys)))


async def read(db: Db, queues: Sequence[bytes]) -> list[Queue]:
    """Two round trips. A job stays in the set while it runs: those are looked for by their mark.

    The health check lives as long as its interval, an hour by default, and goes with a worker
    that ends in order: without it there is none, with it there may be.
    """
    now = db.now()
    commands: list[Command] = []
    for q in queues:
        commands += [
            ("ZCOUNT", q, "-inf", f"{now * 1000:.0f}"),
            ("ZCOUNT", q, f"({now * 1000:.0f}", "+inf"),
            ("ZRANGE", q, 0, FEW - 1, "WITHSCORES"),
            ("EXISTS", q + HEALTH),
        ]
    replies = await db.run(*commands)
    found: list[Queue] = []
    for name, (due, later, first, health) in zip(queues, rows(replies, 4), strict=True):
        jobs = list(zip((first or ())[::2], (first or ())[1::2], strict=False))
        marks = await db.run(*(("EXISTS", b"arq:in-progress:" + job) for job, _ in jobs))
        running = sum(map(number, marks))
        waiting = [decimal(at) for (_, at), mark in zip(jobs, marks, strict=True) if not mark]
        oldest = next((at / 1000 for at in waiting if at is not None), None)
        ready = max(0, number(due) - running)
        found.append(
            Queue(
                system="arq",
                name=db.text(name),
                ready=ready,
                oldest=age(now, oldest) if ready else None,
                in_flight=running,
                consumers=None if health else 0,
                scheduled=number(later),
            )
        )
    return found


ARQ = Framework("arq", (b"arq:queue",), re.compile(rb"^arq:queue$|:health-check$"), names, read)
