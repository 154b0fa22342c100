"""PgBouncer facts for the tests of checks, with the values that do not matter filled in."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from scaledoctor.sdk import Check, Finding, Resource, Use, Window
from scaledoctor.sources.pgbouncer import (
    ClientGroup,
    DatabaseStats,
    LogEntry,
    Pool,
    PoolerClients,
    PoolerConfig,
    PoolerDatabase,
    PoolerDatabases,
    PoolerLists,
    PoolerLog,
    PoolerPools,
    PoolerServers,
    PoolerStats,
    PoolerUser,
    PoolerUsers,
    PoolServers,
)
from scaledoctor.sources.postgres import Activity, Session
from tests.checks.pg_facts import active, activity

_POOL = Pool("shop", "web", "transaction", 0, 0, 0, 0, 0, 0, 0, 0, 0.0)
_DATABASE = PoolerDatabase("shop", "10.0.0.1", 5432, "shop", "", 20, 0, 0, "", False, False)
KEY = "pgbouncer.pool:shop/web"


def ask(plugin: Check[...], *first: Any, **facts: Any) -> list[Finding]:
    """Run a check on the facts that are given by its parameters' names; the others are absent."""
    return list(plugin(*first, *_rest(plugin, len(first), facts)))


def uses(plugin: Resource[..., Any], *first: Any, **facts: Any) -> dict[str, Use]:
    """The uses of a resource by subject, on facts as for :func:`ask`."""
    return {use.subject: use for use in plugin(*first, *_rest(plugin, len(first), facts))}


def _rest(plugin: Check[...] | Resource[..., Any], given: int, facts: dict[str, Any]) -> list[Any]:
    needs = [need.name for need in plugin.signature.needs[given:]]
    assert set(facts) <= {*needs, *FACTS}, set(facts) - {*needs, *FACTS}
    return [facts.get(name) for name in needs]


FACTS = ("stats", "config", "databases", "users", "clients", "servers", "activity", "settings",
         "statements", "server", "info", "cpu", "processes", "log", "locks")  # fmt: skip
"""By these names checks of pools ask for what they need; not each needs all."""


def pool(active: int = 0, waiting: int = 0, maxwait: float = 1.0, **changes: Any) -> Pool:
    """One row of SHOW POOLS of shop/web."""
    waited = maxwait if waiting else 0.0
    return replace(_POOL, **{"active": active, "waiting": waiting, "maxwait": waited, **changes})


def steady(*pools: Pool, samples: int = 4) -> Window[PoolerPools]:
    """The same pools in every sample, half a second apart."""
    return Window.of(*[PoolerPools(pools)] * samples)


def stats(transactions: float = 100.0, seconds: float = 1.5, **more: float) -> Window[PoolerStats]:
    """Transactions in the window, of shop and of more databases."""
    names = {"shop": transactions, **more}
    zero = PoolerStats(tuple(DatabaseStats(name, 0, 0) for name in names))
    last = PoolerStats(tuple(DatabaseStats(name, int(n), int(n)) for name, n in names.items()))
    return Window(((0.0, zero), (seconds, last)))


def config(version: tuple[int, int, int] = (1, 18, 0), **values: Any) -> PoolerConfig:
    """Settings as PgBouncer prints them; those not given are at their defaults."""
    usual = {
        "default_pool_size": "20", "max_client_conn": "100", "query_wait_timeout": "120",
        "conffile": "/etc/pgbouncer/pgbouncer.ini",
    }  # fmt: skip
    return PoolerConfig(version, {**usual, **{name: str(v) for name, v in values.items()}})


def databases(size: int = 20, **changes: Any) -> PoolerDatabases:
    """The database shop with that effective pool size."""
    return PoolerDatabases((database(size=size, **changes),))


def database(name: str = "shop", **changes: Any) -> PoolerDatabase:
    """One row of SHOW DATABASES."""
    return replace(_DATABASE, name=name, real=name, **changes)


def user(name: str = "web", size: int | None = None, **changes: Any) -> PoolerUsers:
    """One row of SHOW USERS."""
    return PoolerUsers((replace(PoolerUser(name, size, None, None), **changes),))


def backends(*pids: int, key: tuple[str, str] = ("shop", "web")) -> Window[PoolerServers]:
    """The servers of one pool at both edges."""
    sample = PoolerServers((PoolServers(*key, len(pids), pids),))
    return Window(((0.0, sample), (1.5, sample)))


def clients(*groups: ClientGroup, others: int = 0) -> Window[PoolerClients]:
    """The same clients at both edges."""
    sample = PoolerClients(groups, others)
    return Window(((0.0, sample), (1.5, sample)))


def group(application: str = "web", address: str = "10.0.0.7", **counts: int) -> ClientGroup:
    """Clients of shop/web by what they do."""
    return ClientGroup("shop", "web", application, address, **counts)


def lists(count: int, users: int = 3) -> Window[PoolerLists]:
    """So many clients, ours not counted."""
    return Window.of(*[PoolerLists(count + 1, 0, 0, users, 2)] * 2)


def log(*entries: LogEntry) -> Window[PoolerLog]:
    """Nothing before the window, then these."""
    return Window(((0.0, PoolerLog(())), (1.5, PoolerLog(entries))))


def entry(kind: str, words: str, count: int = 1, database: str = "shop") -> LogEntry:
    """One kind of message about shop/web."""
    return LogEntry(kind, database, "web" if database else "", count, words)


def sessions(*pids: int, make: Callable[..., Session] = active, **changes: Any) -> Window[Activity]:
    """The same sessions in every sample."""
    return Window.of(*[activity(*(make(pid, **changes) for pid in pids))] * 4)
