"""Keys that the user says are queues, of whatever type."""

from collections.abc import Sequence

from scaledoctor.sources.queues import Queue
from scaledoctor.sources.redis._framework import Db, number

LENGTH = {b"list": "LLEN", b"zset": "ZCARD", b"set": "SCARD"}


async def read(db: Db, keys: Sequence[bytes], *, missing: bool) -> list[Queue]:
    """Their lengths; a key that is not there is an empty queue, told in the first database."""
    kinds = await db.run(*(("TYPE", key) for key in keys))
    commands = [(LENGTH.get(kind, "LLEN"), key) for key, kind in zip(keys, kinds, strict=True)]
    lengths = await db.run(*commands)
    return [
        Queue(
            system=kind.decode() if kind in LENGTH else "list", name=db.text(key), ready=number(n)
        )
        for key, kind, n in zip(keys, kinds, lengths, strict=True)
        if kind in LENGTH or (missing and kind == b"none")
    ]
