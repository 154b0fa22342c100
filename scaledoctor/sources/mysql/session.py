"""One guarded, read-only connection to MySQL or MariaDB, in a thread beside the event loop."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from scaledoctor.sdk import Redactor, Target, Unavailable, Unreachable, source
from scaledoctor.sources.mysql._literals import without_literals
from scaledoctor.sources.mysql._refusal import refusal

if TYPE_CHECKING:
    import pymysql

    Connection = pymysql.connections.Connection[pymysql.cursors.DictCursor]

CONNECT_TIMEOUT = 3
PATIENCE = 3
"""Seconds to an answer; above the 2 s after which the server gives up."""

EXTRA = "pip install 'scaledoctor[mysql]'"

TAG = "/* scaledoctor */"
"""In every statement of ours, so that we can leave them out of what we report."""

GUARDS = (
    "SET SESSION TRANSACTION READ ONLY",
    "SET SESSION lock_wait_timeout = 1, innodb_lock_wait_timeout = 1",
)
LIMITS = {
    True: "SET SESSION max_statement_time = 2",  # MariaDB, in seconds
    False: "SET SESSION max_execution_time = 2000",  # MySQL, in milliseconds, for SELECT
}

REFUSED = (1044, 1142, 1143, 1227, 1370)
"""Error numbers that say that the user may not."""

Rows = list[dict[str, Any]]


@dataclass
class MysqlSession:
    """A connection with its guards; ``version`` such as (10, 11, 19), ``mine`` our thread's id.

    ``memory`` carries a probe's first reading to its second one.
    """

    connection: "Connection"
    redactor: Redactor
    mariadb: bool
    version: tuple[int, ...]
    words: str
    mine: int
    user: str
    spent: list[float] = field(default_factory=list)
    memory: dict[str, Any] = field(default_factory=dict)
    lost: str = ""

    async def rows(self, query: str, parameters: Sequence[Any] = (), *, grant: str = "") -> Rows:
        """Run one statement and return its rows, column names in lower case.

        ``grant`` is what to do when the user may not; ``{user}`` in it is its account.

        Raises:
            Unavailable: no privilege, a time-out, or the connection is gone.

        """
        from asyncio import to_thread

        if self.lost:
            raise Unavailable(self.lost)
        return await to_thread(self._rows, query, parameters, grant)

    def statement(self, text: str) -> str:
        """A statement as we keep it: without literals, unless these are to be shown."""
        shown = text if self.redactor.show_literals else without_literals(text)
        return self.redactor.text(shown)

    def _rows(self, query: str, parameters: Sequence[Any], grant: str) -> Rows:
        from pymysql import MySQLError

        first, _, rest = query.strip().partition(" ")
        began = monotonic()
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(f"{first} {TAG} {rest}", parameters or None)
                return [{k.lower(): v for k, v in row.items()} for row in cursor.fetchall()]
        except MySQLError as error:
            raise self._unavailable(error, grant) from None
        except UnicodeDecodeError as error:
            raise Unavailable(f"a text is not in the connection's encoding: {error}") from None
        except (OSError, ValueError, IndexError) as error:
            self.lost = f"connection lost: {error}"
            raise Unavailable(self.lost) from None
        finally:
            self.spent.append(monotonic() - began)

    def _unavailable(self, error: Exception, grant: str) -> Unavailable:
        code, message = said(error)
        message = self.redactor.text(message)
        if code in REFUSED:
            return Unavailable(message, grant.format(user=self.user))
        if code in (2006, 2013, 2014, 0):
            self.lost = f"connection lost: {message}"
            return Unavailable(self.lost)
        return Unavailable(message)


def said(error: Exception) -> tuple[int, str]:
    """The number and the words of an error of PyMySQL; 0 where it has none."""
    if len(error.args) >= 2 and isinstance(error.args[0], int):
        return error.args[0], str(error.args[1])
    return 0, str(error)


@source("mysql", MysqlSession)
@asynccontextmanager
async def mysql(target: Target, redactor: Redactor) -> AsyncIterator[MysqlSession]:
    """A MySQL or MariaDB server, over TCP or its socket."""
    from asyncio import to_thread

    session = await to_thread(_open, target, redactor)
    try:
        yield session
    finally:
        if session.connection.open:
            session.connection.close()


def _open(target: Target, redactor: Redactor) -> MysqlSession:
    try:
        from pymysql import MySQLError
    except ImportError:
        raise Unreachable("plug-in", "PyMySQL is not installed", "", EXTRA) from None
    try:
        connection = _connect(target)
    except MySQLError as error:
        raise _refused(error, redactor) from None
    except (OSError, ValueError, IndexError, AssertionError) as error:
        raise refusal(0, f"protocol: {error}") from None
    try:
        return _guarded(connection, redactor)
    except MySQLError as error:
        if connection.open:
            connection.close()
        raise _refused(error, redactor) from None


def _refused(error: Exception, redactor: Redactor) -> Unreachable:
    code, message = said(error)
    return refusal(code, redactor.text(message))


def _connect(target: Target) -> "Connection":
    import pymysql

    parts = urlsplit(target.dsn)
    query = parse_qs(parts.query)
    ca = query.get("ssl_ca", [None])[0]
    return pymysql.connect(
        host=parts.hostname or "localhost",
        port=parts.port or 3306,
        unix_socket=query.get("unix_socket", [None])[0],
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.strip("/")) or None,
        charset="utf8mb4",
        autocommit=True,
        program_name="scaledoctor",
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=PATIENCE,
        write_timeout=PATIENCE,
        cursorclass=pymysql.cursors.DictCursor,
        ssl_ca=ca,
        ssl_verify_cert=bool(ca) or None,
        ssl_verify_identity=bool(ca) or None,
    )


def _guarded(connection: "Connection", redactor: Redactor) -> MysqlSession:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {TAG} version() AS words, connection_id() AS mine, current_user() AS user"
        )
        row = cursor.fetchone()
        assert row is not None
        words = str(row["words"])
        mariadb = "mariadb" in words.lower()
        for guard in (*GUARDS, LIMITS[mariadb]):
            cursor.execute(guard)
    user, _, host = str(row["user"]).rpartition("@")
    return MysqlSession(
        connection=connection,
        redactor=redactor,
        mariadb=mariadb,
        version=tuple(int(part) for part in re.findall(r"\d+", words)[:3]),
        words=words,
        mine=int(row["mine"]),
        user=f"'{user}'@'{host}'",
    )
