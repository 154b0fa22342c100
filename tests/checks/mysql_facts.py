"""MySQL's facts for the tests of checks, with the values that do not matter filled in."""

from dataclasses import replace
from typing import Any

from scaledoctor.sdk import Window
from scaledoctor.sources.mysql import (
    MysqlDigest,
    MysqlDigests,
    MysqlLocks,
    MysqlServer,
    MysqlStatus,
    MysqlThread,
    MysqlThreads,
    MysqlTransaction,
    MysqlWait,
)

SERVER = MysqlServer(
    words="10.11.19-MariaDB", mariadb=True, account="'watcher'@'%'", local=True, sees_all=True,
    max_connections=100, idle_timeout=28800.0, buffer_pool=128 << 20, counts_statements=True,
    read_only=False,
)  # fmt: skip

_THREAD = MysqlThread(
    id=0, user="web", client="10.0.0.7", database="shop", command="Sleep", seconds=5.0, state="",
    query="",
)  # fmt: skip


def thread(number: int, **changes: Any) -> MysqlThread:
    """A thread that sleeps."""
    return replace(_THREAD, id=number, **changes)


def runs(number: int, query: str = "SELECT n FROM stock", **changes: Any) -> MysqlThread:
    """A thread in a statement."""
    return thread(number, **{"command": "Query", "query": query, "seconds": 0.1, **changes})


def threads(*found: MysqlThread, samples: int = 4) -> Window[MysqlThreads]:
    """The same threads at every sample."""
    return Window.of(*[MysqlThreads(found)] * samples)


def locks(
    *waits: tuple[int, int], open_: tuple[MysqlTransaction, ...] = (), samples: int = 4
) -> Window[MysqlLocks]:
    """The same (waiting, blocking) at every sample."""
    found = tuple(MysqlWait(a, b, "shop.stock") for a, b in waits)
    return Window.of(*[MysqlLocks(found, open_)] * samples)


def transaction(number: int, seconds: float = 60.0, changed: int = 1) -> MysqlTransaction:
    """An open one."""
    return MysqlTransaction(number, seconds, 1, changed)


def status(seconds: float = 10.0, **values: Any) -> Window[MysqlStatus]:
    """Counters at both ends; pairs are (then, now)."""

    def at(end: int) -> MysqlStatus:
        return MysqlStatus({k: v[end] if isinstance(v, tuple) else v for k, v in values.items()})

    return Window.of(at(0), at(1), every=seconds)


def digests(*grown: MysqlDigest, seconds: float = 10.0) -> Window[MysqlDigests]:
    """Nothing, then these."""
    return Window.of(MysqlDigests(()), MysqlDigests(grown), every=seconds)


def digest(
    calls: int, seconds: float, *, examined: int = 0, sent: int = 0, **changes: Any
) -> MysqlDigest:
    """One statement; figures are per call."""
    text = "SELECT SUM ( `amount` ) FROM `orders` WHERE `customer` = ?"
    one = MysqlDigest("shop/1", calls, seconds, 0.0, examined * calls, sent * calls, 0, text)
    return replace(one, **changes)
