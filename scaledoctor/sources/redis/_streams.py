"""Streams: each consumer group is a queue of what it has not read yet."""

from collections.abc import Mapping, Sequence

from scaledoctor.sources.queues import Queue
from scaledoctor.sources.redis._allowed import MOST
from scaledoctor.sources.redis._framework import FEW, Db, age, number
from scaledoctor.sources.redis._wire import Reply

SILENT = 300.0
"""Seconds after which a consumer without a request is taken for gone, and its messages for stuck,
unless somebody is seen to wait for this server's streams."""


async def read(db: Db, streams: Sequence[bytes]) -> list[Queue]:
    """For each stream its groups, for each group its consumers and its first unread message."""
    found: list[Queue] = []
    facts = await db.run(
        *(command for key in streams
          for command in (("XINFO", "STREAM", key), ("XINFO", "GROUPS", key)))
    )  # fmt: skip
    for key, about, groups in zip(streams, facts[::2], facts[1::2], strict=True):
        added = table(about).get(b"entries-added")
        found += [await _group(db, key, table(g), added) for g in (groups or ())[:FEW]]
    return found


async def _group(db: Db, key: bytes, group: Mapping[bytes, Reply], added: Reply) -> Queue:
    name, after = group[b"name"], group[b"last-delivered-id"]
    lag, read_so_far, pending = group.get(b"lag"), group.get(b"entries-read"), group[b"pending"]
    # The server tells no lag after a deletion, or for a group that began in the middle.
    unread = 1 if isinstance(lag, int) else MOST
    first, consumers, idle = await db.run(
        ("XRANGE", key, b"(" + after, "+", "COUNT", unread),
        ("XINFO", "CONSUMERS", key, name),
        ("XPENDING", key, name, "IDLE", int(SILENT * 1000), "-", "+", FEW),
    )
    members = [table(c) for c in (consumers or ())[:MOST]]
    near = [m for m in members if number(m.get(b"idle")) < SILENT * 1000]
    connected = await db.clients()
    reading = any(c.command in ("xreadgroup", "xack", "xautoclaim") for c in connected or ())
    ready = lag if isinstance(lag, int) else len(first or ())
    held = [number(m.get(b"pending")) for m in near]
    return Queue(
        system="stream",
        name=db.text(key + b"/" + name),
        ready=ready,
        oldest=age(db.now(), stamp(first[0][0])) if first and ready else None,
        in_flight=number(pending),
        consumers=len(members) if reading or connected is None else len(near),
        arrived=float(added) if isinstance(added, int) else None,
        done=float(read_so_far - number(pending)) if isinstance(read_so_far, int) else None,
        reserved=sum(n - 1 for n in held if n),  # a consumer works on one at a time
        idle=sum(not n for n in held),
        stuck=len(idle or ()),
    )


def table(reply: Reply) -> Mapping[bytes, Reply]:
    """A reply of names and values in turn."""
    pairs = reply if isinstance(reply, list) else []
    return dict(zip(pairs[::2], pairs[1::2], strict=False))


def stamp(entry: bytes) -> float | None:
    """When an entry was added: its id begins with the milliseconds of the epoch."""
    milliseconds = entry.partition(b"-")[0]
    # An id may be chosen freely: only what can be a time of this century is one.
    return int(milliseconds) / 1000 if len(milliseconds) == 13 else None
