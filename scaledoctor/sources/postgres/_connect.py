"""Opening the connection, and reading text that may be in another encoding."""

from typing import TYPE_CHECKING, Any

from scaledoctor.errors import Unreachable
from scaledoctor.sources.postgres._refusal import refusal
from scaledoctor.targets import Target

if TYPE_CHECKING:
    from psycopg import AsyncConnection

CONNECT_TIMEOUT = 5
"""Seconds for each address of the host; libpq knows no less than 2."""


async def open_connection(target: Target) -> "AsyncConnection[dict[str, Any]]":
    """Open an autocommit connection without start-up options, safe through a pooler.

    Raises:
        Unreachable: refused, with its category.
    """
    import psycopg
    from psycopg.rows import dict_row

    try:
        connection = await psycopg.AsyncConnection[dict[str, Any]].connect(
            target.dsn,
            autocommit=True,
            prepare_threshold=None,
            row_factory=dict_row,
            application_name="",  # set with the guards: a pooler would keep it for the next client
            connect_timeout=CONNECT_TIMEOUT,
            client_encoding="utf8",
        )
    except psycopg.errors.ConnectionTimeout:
        raise refusal(f"no answer within {CONNECT_TIMEOUT} s") from None
    except psycopg.Error as error:
        raise refusal(str(error)) from None
    except (OSError, UnicodeError) as error:
        raise Unreachable("dns", f"cannot resolve the host: {error}") from None
    _read_leniently(connection)
    return connection


def _read_leniently(connection: "AsyncConnection[dict[str, Any]]") -> None:
    """Let no byte of a foreign encoding stop a reading.

    Names of roles and databases and the statements of other databases come in the encoding of
    whoever wrote them.
    """
    from psycopg.adapt import Buffer, Loader
    from psycopg.types.string import ByteaLoader

    def decoded(data: Buffer) -> str:
        name = connection.info.encoding
        # SQL_ASCII is no encoding; what is in there is mostly UTF-8.
        return bytes(data).decode("utf-8" if name == "ascii" else name, "replace")

    class Text(Loader):
        def load(self, data: Buffer) -> str:
            return decoded(data)

    class TextInBytes(Loader):
        def load(self, data: Buffer) -> str:
            return decoded(ByteaLoader(self.oid).load(bytes(data)))

    connection.adapters.register_loader("text", Text)
    connection.adapters.register_loader("name", Text)
    connection.adapters.register_loader("bytea", TextInBytes)
