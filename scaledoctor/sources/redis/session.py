"""Read-only connections to one Redis, Valkey or cluster of them."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from time import time
from typing import Any

from scaledoctor.sdk import Redactor, Target, Unavailable, Unreachable, source
from scaledoctor.sources.redis._allowed import Command, name_of
from scaledoctor.sources.redis._cluster import Nodes, nodes_of
from scaledoctor.sources.redis._connect import (
    Place,
    first_words,
    open_wire,
    past_sentinel,
    place,
    refused,
)
from scaledoctor.sources.redis._refusal import refusal
from scaledoctor.sources.redis._wire import Reply, Wire

MOST_NODES = 20
"""Masters of a cluster that we connect to."""

GRANT = (
    "ACL SETUSER {user} resetchannels &* ~* -@all +@read -keys +ping +info +select +client|list "
    "+client|setname +psubscribe +cluster|slots +config|get +slowlog|get +latency|latest"
)
"""The least that a user of the scan needs; CLIENT LIST and PSUBSCRIBE count workers."""

OPTIONAL = frozenset({
    "CLIENT LIST", "CLIENT SETNAME", "CLUSTER SLOTS", "CONFIG GET", "LATENCY LATEST",
    "MEMORY USAGE", "PSUBSCRIBE", "SLOWLOG GET",
})  # fmt: skip
"""Without these we see less, but not nothing."""


ALONE = re.compile(
    r"WRONGTYPE|unknown (sub)?command|syntax error|no such key|NOGROUP|wrong number of arguments",
    re.I,
)
"""Errors that concern the command alone: another type of key, or a version that has it not."""


@dataclass
class RedisSession:
    """What the source opened; ``info`` is INFO as it was at the start.

    ``databases`` are the numbers of those to look at; ``names`` are keys that the user named as
    queues. ``ahead`` is how far the server's clock is ahead of ours, in seconds. ``memory``
    carries a probe's first reading to its next one; ``closing`` ends what a probe opened.
    """

    nodes: Nodes
    where: Place
    redactor: Redactor
    info: Mapping[str, str]
    databases: tuple[int, ...]
    names: tuple[bytes, ...]
    ahead: float
    closing: AsyncExitStack
    spent: list[float]
    memory: dict[str, Any] = field(default_factory=dict)

    @property
    def commands(self) -> int:
        """How many commands we have sent."""
        return sum(wire.commands for wire in self.nodes.wires)

    @property
    def grant(self) -> str:
        """What lets this user see all."""
        return GRANT.format(user=self.where.username or "scaledoctor")

    def now(self) -> float:
        """The server's clock, in seconds of the epoch."""
        return time() + self.ahead

    async def run(self, *commands: Command, db: int = 0) -> list[Reply]:
        """Send a batch of commands that only read; None where one is not possible there.

        Raises:
            Unavailable: a privilege is missing, or the connection is gone.

        """
        replies: list[Reply] = [None] * len(commands)
        for wire, positions in self.nodes.batches(commands):
            given = await wire.run([commands[i] for i in positions], db)
            for i, reply in zip(positions, given, strict=True):
                replies[i] = self.judge(commands[i], reply)
        return replies

    def judge(self, command: Command, reply: Reply) -> Reply:
        """The reply as it is, None for a refusal that concerns the command alone."""
        from redis import exceptions

        if not isinstance(reply, Exception):
            return reply
        if isinstance(reply, exceptions.NoPermissionError):
            name = name_of(command)
            if name in OPTIONAL:
                return None
            raise Unavailable(f"this user may not run {name} here", self.grant)
        if isinstance(reply, exceptions.MovedError):
            if self.nodes.slots:
                return None  # the slot has just moved
            reason = "this is one node of a cluster, and the others are not known"
            raise Unavailable(reason, self.grant)
        if ALONE.search(str(reply)):
            return None
        no = refused(reply, self.where)
        raise Unavailable(no.message, no.enable)


@source("redis", RedisSession)
@asynccontextmanager
async def redis(target: Target, redactor: Redactor) -> AsyncIterator[RedisSession]:
    """A Redis or Valkey, a node of its cluster, or what a Sentinel names."""
    where = place(target.dsn)
    if where.master:
        where = await past_sentinel(where)
    async with AsyncExitStack() as closing:
        first = await _opened(where, closing)
        info = await _info(first, where)
        nodes = await _nodes(first, info, where, closing)
        seconds = info.get("server_time_usec", "")
        yield RedisSession(
            nodes=nodes,
            where=where,
            redactor=redactor,
            info=info,
            databases=_databases(info, where.db),
            names=tuple(name.encode() for name in target.names),
            ahead=int(seconds) / 1e6 - time() if seconds.isdigit() else 0.0,
            closing=closing,
            spent=first.spent,
        )


async def _opened(where: Place, closing: AsyncExitStack) -> Wire:
    wire = await open_wire(where)
    closing.push_async_callback(wire.close)
    return wire


async def _info(wire: Wire, where: Place) -> dict[str, str]:
    """Name ourselves and read INFO: the first command that shows whether we are let in."""
    try:
        naming = ("CLIENT", "SETNAME", "scaledoctor")
        _, reply = await wire.run([naming, ("INFO",)], where.db or 0)
    except Unavailable:
        no = refused(wire.fault or TimeoutError(), where)
        said = await first_words(where) if no.category == "closed" else None
        raise said or no from None
    if isinstance(reply, Exception):
        raise refused(reply, where)
    info = info_of(reply) if isinstance(reply, bytes) else {}
    if info.get("redis_mode") == "sentinel":
        raise Unreachable(
            "sentinel", "this is a Sentinel, it keeps no data", "",
            "--redis redis+sentinel://host:26379/NAME, with the name of its master",
        )  # fmt: skip
    if info.get("loading") == "1":
        raise refusal("LOADING")
    if "redis_version" not in info:
        raise Unreachable("protocol", "it speaks Redis's protocol, but INFO tells no version")
    return info


def info_of(reply: bytes) -> dict[str, str]:
    """INFO's lines as a mapping."""
    lines = reply.decode("utf-8", "replace").splitlines()
    pairs = (line.partition(":") for line in lines if not line.startswith("#"))
    return {name: value for name, colon, value in pairs if colon}


def _databases(info: Mapping[str, str], db: int | None) -> tuple[int, ...]:
    """The one that the URL names, else every one that has keys."""
    if db is not None:
        return (db,)
    known = [name[2:] for name in info if name.startswith("db") and name[2:].isdigit()]
    return tuple(sorted(map(int, known))) or (0,)


async def _nodes(
    first: Wire, info: Mapping[str, str], where: Place, closing: AsyncExitStack
) -> Nodes:
    if info.get("cluster_enabled") != "1":
        return Nodes((first,))
    (reply,) = await first.run([("CLUSTER", "SLOTS")])
    masters = nodes_of(reply)[:MOST_NODES]
    if not masters:
        return Nodes((first,))
    wires: list[Wire] = []
    for node in masters:
        wires.append(await _opened(where.at(node.host or where.host, node.port), closing))
        wires[-1].spent = first.spent
    slots = [(a, b, i) for i, node in enumerate(masters) for a, b in node.slots]
    return Nodes(tuple(wires), tuple(slots))
