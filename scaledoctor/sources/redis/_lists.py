"""Keys that the user says are queues, of whatever type."""

from collections.abc import Mapping, Sequence
from shlex import quote

from scaledoctor.sources.queues import Queue, Unread
from scaledoctor.sources.redis._framework import Db, number

LENGTH = {b"list": "LLEN", b"zset": "ZCARD", b"set": "SCARD"}


async def kinds(db: Db, keys: Sequence[bytes]) -> dict[bytes, bytes]:
    """The type of each key, b"none" where it is not there."""
    found = await db.run(*(("TYPE", key) for key in keys))
    return {k: kind or b"none" for k, kind in zip(keys, found, strict=True)}


async def read(db: Db, found: Mapping[bytes, bytes], *, missing: bool) -> list[Queue]:
    """Their lengths; a key that is not there is an empty queue, told in the first database."""
    told = {*LENGTH, b"none"} if missing else {*LENGTH}
    shown = {key: kind for key, kind in found.items() if kind in told}
    lengths = await db.run(*((LENGTH.get(kind, "LLEN"), key) for key, kind in shown.items()))
    return [
        Queue(
            system=kind.decode() if kind in LENGTH else "list", name=db.text(key), ready=number(n)
        )
        for (key, kind), n in zip(shown.items(), lengths, strict=True)
    ]


def misnamed(found: Sequence[tuple[Db, Mapping[bytes, bytes]]]) -> tuple[Unread, ...]:
    """Keys that are no queue in any of these databases: of another type, or not there."""
    told: list[Unread] = []
    for key in dict.fromkeys(key for _, known in found for key in known):
        here = {known[key]: db for db, known in found if key in known}
        if here.keys() & {*LENGTH, b"stream"}:
            continue
        kind, db = next(((k, db) for k, db in here.items() if k != b"none"), (b"none", found[0][0]))
        reason = f"it is a {_text(kind)}, no list, set, sorted set or stream"
        if kind == b"none":
            reason = "there is no such key now: it is empty, or has another name or database"
        look = f"redis-cli -n {db.number} TYPE {quote(db.session.redactor.text(_text(key)))}"
        told.append(Unread(db.text(key), reason, look))
    return tuple(told)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")
