"""Huey: a list or sorted set of pickled tasks. It keeps no times, and workers leave no trace."""

import re
from collections.abc import Sequence

from scaledoctor.sources.queues import Queue
from scaledoctor.sources.redis._framework import Db, Framework, number, rows

KEY = re.compile(rb"^huey\.(?:redis|schedule|results)\.(.+)$")


async def names(db: Db, keys: Sequence[bytes]) -> list[bytes]:
    """Every queue of which a key is left."""
    return sorted({match[1] for key in keys if (match := KEY.match(key))})


async def read(db: Db, queues: Sequence[bytes]) -> list[Queue]:
    """One round trip; a queue with priorities is a sorted set, any other a list."""
    replies = await db.run(
        *(
            command
            for q in queues
            for command in (
                ("LLEN", b"huey.redis." + q),
                ("ZCARD", b"huey.redis." + q),
                ("ZCARD", b"huey.schedule." + q),
            )
        )
    )
    return [
        Queue(
            system="huey",
            name=db.text(name),
            ready=number(tasks) + number(prioritized),
            scheduled=number(scheduled),
        )
        for name, (tasks, prioritized, scheduled) in zip(queues, rows(replies, 3), strict=True)
    ]


HUEY = Framework("huey", (), KEY, names, read)
