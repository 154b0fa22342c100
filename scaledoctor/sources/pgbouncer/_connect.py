"""Opening the admin console, and what a refusal means there."""

import re
from typing import TYPE_CHECKING, Any

from scaledoctor.errors import Unreachable
from scaledoctor.sources.postgres._refusal import refusal
from scaledoctor.targets import Target

if TYPE_CHECKING:
    from psycopg import AsyncConnection

CONSOLE = "pgbouncer"
CONNECT_TIMEOUT = 5
"""Seconds; libpq knows no less than 2."""

BANNER = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?\S*/bouncer")
"""``server_version`` of every PgBouncer: 1.18.0/bouncer."""

# (pattern in PgBouncer's words, category, what it means, what to do); first match wins.
_REFUSALS: tuple[tuple[str, str, str, str], ...] = (
    (
        r"FATAL:\s+not allowed",
        "auth",
        "this user may not use PgBouncer's console",
        "in pgbouncer.ini: stats_users = {user}; then, as an admin user on the console: RELOAD;",
    ),
    (
        r'database "pgbouncer" does not exist|no such database: pgbouncer',
        "database",
        "this is no PgBouncer: it has no admin console",
        "give the address that PgBouncer listens on (listen_port, 6432 by default)",
    ),
    (
        r"bouncer config error|no such user",
        "auth",
        "PgBouncer does not know this user",
        "name a user of its auth_file that stands in stats_users",
    ),
)


async def open_console(target: Target) -> "AsyncConnection[dict[str, Any]]":
    """Open an autocommit connection to the console, without start-up options or prepared plans.

    Raises:
        Unreachable: refused, or whoever answers is no PgBouncer.
    """
    import psycopg
    from psycopg.rows import dict_row

    user = _user_of_console(target.dsn)
    try:
        connection = await psycopg.AsyncConnection[dict[str, Any]].connect(
            target.dsn,
            dbname=CONSOLE,
            autocommit=True,
            prepare_threshold=None,
            row_factory=dict_row,
            application_name="scaledoctor",
            connect_timeout=CONNECT_TIMEOUT,
            client_encoding="utf8",
            options="",  # PGOPTIONS would be sent, and refused
        )
    except psycopg.errors.ConnectionTimeout:
        raise _silent() from None
    except psycopg.Error as error:
        raise console_refusal(str(error), user) from None
    except (OSError, UnicodeError) as error:
        raise Unreachable("dns", f"cannot resolve the host: {error}") from None
    banner = connection.info.parameter_status("server_version") or ""
    if not BANNER.match(banner):
        await connection.close()
        raise Unreachable(
            "database",
            f"this is no PgBouncer: it answers as version {banner[:40] or 'unknown'}",
            enable="give PostgreSQL by --dsn; PgBouncer listens on port 6432 by default",
        )
    _read_leniently(connection)
    return connection


def _user_of_console(dsn: str) -> str:
    """The DSN's user; a DSN that names another database is a mistake worth telling.

    Raises:
        Unreachable: it names a database behind PgBouncer.
    """
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(dsn)
    database = str(parts.get("dbname") or CONSOLE)
    if database != CONSOLE:
        raise Unreachable(
            "database",
            f"the DSN names the database {database}, the console's name is {CONSOLE}",
            enable="--pgbouncer postgresql://user@host:6432/pgbouncer, "
            "and --dsn for PostgreSQL itself",
        )
    return str(parts.get("user") or "the user of the scan")


def console_refusal(text: str, user: str) -> Unreachable:
    """Classify what PgBouncer or libpq said to ``user``."""
    for pattern, category, words, enable in _REFUSALS:
        if re.search(pattern, text):
            return Unreachable(category, words, "08P01", enable.format(user=user))
    if re.search("timeout expired|timed out", text):
        return _silent()
    return refusal(text)


def _silent() -> Unreachable:
    return Unreachable(
        "timeout",
        f"no answer within {CONNECT_TIMEOUT} s",
        enable="is it PgBouncer's address? it also waits when the user is not in its auth_file",
    )


def _read_leniently(connection: "AsyncConnection[dict[str, Any]]") -> None:
    """Let no byte of a foreign encoding stop a reading: PgBouncer hands names on as they are."""
    from psycopg.adapt import Buffer, Loader

    class Text(Loader):
        def load(self, data: Buffer) -> str:
            return bytes(data).decode("utf-8", "replace")

    connection.adapters.register_loader("text", Text)
