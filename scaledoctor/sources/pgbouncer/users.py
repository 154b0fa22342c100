"""The users' own sizes and caps, which override those of their databases from 1.23 on."""

from collections.abc import Sequence
from dataclasses import dataclass

from scaledoctor.sdk import fact, probe
from scaledoctor.sources.pgbouncer.session import PgBouncerSession, Row, maybe, word

MOST = 500
"""Users kept, those with a size or cap of their own first."""


@dataclass(frozen=True, slots=True)
class PoolerUser:
    """One user: sizes are None when the databases' count, ``cap`` is 0 without one.

    ``cap`` is max_user_connections, the global one filled in by PgBouncer, None before 1.23.
    ``doubtful`` marks a size that may be the one of the user before: SHOW USERS of 1.23 to 1.25
    prints the last size again for users who have none (admin.c).
    """

    name: str
    size: int | None
    reserve: int | None
    cap: int | None
    doubtful: bool = False


@fact
@dataclass(frozen=True, slots=True)
class PoolerUsers:
    """All users that PgBouncer has seen."""

    users: tuple[PoolerUser, ...]

    def named(self, name: str) -> PoolerUser | None:
        """The user of that name."""
        return next((u for u in self.users if u.name == name), None)


@probe(cost="SHOW USERS, < 1 ms")
async def pooler_users(console: PgBouncerSession) -> PoolerUsers:
    """Read SHOW USERS."""
    return users_of(await console.show("USERS"))


def users_of(rows: Sequence[Row]) -> PoolerUsers:
    """Return the users of any version's SHOW USERS."""
    found: list[PoolerUser] = []
    before: PoolerUser | None = None
    for row in rows:
        size, reserve = maybe(row, "pool_size"), maybe(row, "reserve_pool_size")
        again = before is not None and (
            (size is not None and size == before.size)
            or (reserve is not None and reserve == before.reserve)
        )
        cap = maybe(row, "max_user_connections")
        before = PoolerUser(word(row, "name"), size, reserve, cap, again)
        found.append(before)
    found.sort(key=lambda u: (u.size is None and not u.cap, u.name))
    return PoolerUsers(tuple(found[:MOST]))
