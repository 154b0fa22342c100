"""What PgBouncer is told to be: sizes, reserves and caps of its pools."""

from dataclasses import dataclass

from scaledoctor.sources.pgbouncer import (
    Pool,
    PoolerConfig,
    PoolerDatabase,
    PoolerDatabases,
    PoolerUser,
    PoolerUsers,
)


@dataclass(frozen=True, slots=True)
class Size:
    """A pool's size, 0 when it is unlimited (1.24+), and whose it is: a user's, a database's."""

    most: int
    of: str
    name: str = ""

    @property
    def setting(self) -> str:
        """As it stands in pgbouncer.ini."""
        if self.of == "default":
            return f"default_pool_size = {self.most}"
        return f"pool_size = {self.most} of {self.of} {self.name}"


@dataclass(frozen=True, slots=True)
class Cap:
    """``most`` server connections of all pools of one database or user, ``field`` says which."""

    field: str
    name: str
    most: int

    @property
    def setting(self) -> str:
        """As it stands in pgbouncer.ini."""
        kind = "db" if self.field == "database" else "user"
        return f"max_{kind}_connections = {self.most} of {self.field} {self.name}"

    def over(self, pool: Pool) -> bool:
        """Whether the pool counts against it."""
        return bool(getattr(pool, self.field) == self.name)


@dataclass(frozen=True, slots=True)
class Setup:
    """What PgBouncer is told to be; each None where it could not be read."""

    config: PoolerConfig | None
    databases: PoolerDatabases | None
    users: PoolerUsers | None

    def database(self, name: str) -> PoolerDatabase | None:
        """One database's row."""
        return self.databases.named(name) if self.databases else None

    def user(self, name: str) -> PoolerUser | None:
        """One user's row."""
        return self.users.named(name) if self.users else None

    @property
    def stopped(self) -> bool:
        """Whether everything is paused."""
        return self.databases is not None and self.databases.stopped

    def number(self, name: str, default: int = 0) -> int:
        """A global setting."""
        return int(self.config.number(name, default)) if self.config else default

    def size(self, pool: Pool, most: int) -> Size:
        """The pool's own size.

        The user's counts before the database's; a doubtful one only where it fits ``most``, the
        most servers that were seen.
        """
        database, user = self.database(pool.database), self.user(pool.user)
        default = self.number("default_pool_size", 20)
        common = database.size if database else default
        if user and user.size is not None and (not user.doubtful or most <= user.size < common):
            return Size(user.size, "user", user.name)
        if database and common != default:
            return Size(common, "database", database.name)
        return Size(common, "default")

    def reserve(self, pool: Pool) -> int:
        """Servers that the pool may have beyond its size, once a client waited long enough."""
        database, user = self.database(pool.database), self.user(pool.user)
        if user and user.reserve is not None and not user.doubtful:
            return user.reserve
        return database.reserve if database else self.number("reserve_pool_size")

    def caps(self, pool: Pool) -> tuple[Cap, ...]:
        """The caps that the pool shares with others: of its database, and of its user."""
        database, user = self.database(pool.database), self.user(pool.user)
        own = user.cap if user and user.cap is not None else self.number("max_user_connections")
        both = (
            Cap("database", pool.database, database.cap if database else 0),
            Cap("user", pool.user, own),
        )
        return tuple(cap for cap in both if cap.most > 0)
