"""Whose clients there are and what they do: counted, never listed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scaledoctor.sdk import Cadence, Redactor, Unavailable, fact, probe
from scaledoctor.sources.pgbouncer.pools import lists_of
from scaledoctor.sources.pgbouncer.session import (
    PgBouncerSession,
    Row,
    is_console,
    maybe,
    word,
)

MOST = 200
"""Groups kept, the largest; the clients of the others are counted."""

TOO_MANY = 20_000
"""Clients above which we do not ask: the answer is about 200 bytes for each, made at once."""


@dataclass(frozen=True, slots=True)
class ClientGroup:
    """Clients of one application at one address that use one pool, by what they do.

    ``waiting`` want a server; ``running`` have one and wait for its answer; ``holding`` have one
    and ask nothing of it (in transaction mode: idle in a transaction); ``idle`` have none.
    """

    database: str
    user: str
    application: str
    address: str
    waiting: int = 0
    running: int = 0
    holding: int = 0
    idle: int = 0

    @property
    def count(self) -> int:
        """All of them."""
        return self.waiting + self.running + self.holding + self.idle

    @property
    def key(self) -> str:
        """The pool: database/user."""
        return f"{self.database}/{self.user}"

    @property
    def label(self) -> str:
        """How people know them: their application_name (1.18+), else their address, else user."""
        return self.application or self.address or self.user


@fact
@dataclass(frozen=True, slots=True)
class PoolerClients:
    """All clients but the console's, the largest groups first; ``others`` are in no group."""

    groups: tuple[ClientGroup, ...]
    others: int = 0


@probe(cost="SHOW CLIENTS, about 200 bytes per client, at both edges", cadence=Cadence.EDGES)
async def pooler_clients(console: PgBouncerSession) -> PoolerClients:
    """Read SHOW CLIENTS, unless there are more than 20,000."""
    if (count := lists_of(await console.show("LISTS")).clients) > TOO_MANY:
        raise Unavailable(f"{count:,} clients: SHOW CLIENTS would hold PgBouncer up")
    return clients_of(await console.show("CLIENTS"), console.redactor)


def clients_of(rows: Sequence[Row], redactor: Redactor) -> PoolerClients:
    """Group the clients of any version's SHOW CLIENTS."""
    groups: dict[tuple[str, str, str, str], ClientGroup] = {}
    for row in rows:
        if is_console(row) or word(row, "state").endswith("cancel_req"):
            continue
        names = (
            word(row, "database"),
            word(row, "user"),
            redactor.text(word(row, "application_name")),
            word(row, "addr"),
        )
        group, doing = groups.get(names, ClientGroup(*names)), _doing(row)
        groups[names] = replace(group, **{doing: getattr(group, doing) + 1})
    found = sorted(groups.values(), key=lambda g: (-g.count, g.key, g.label))
    return PoolerClients(tuple(found[:MOST]), sum(g.count for g in found[MOST:]))


def _doing(row: Row) -> str:
    """``wait`` runs from the start of a query to its end, whatever the state says (admin.c)."""
    if word(row, "state").startswith("waiting"):
        return "waiting"
    if not word(row, "link"):
        return "idle"
    return "running" if (maybe(row, "wait") or 0) + (maybe(row, "wait_us") or 0) else "holding"
