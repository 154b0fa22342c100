"""Opening the connection, and what a refusal means."""

import re
from typing import TYPE_CHECKING, Any

from scaledoctor.errors import Unreachable
from scaledoctor.targets import Target

if TYPE_CHECKING:
    from psycopg import AsyncConnection

CONNECT_TIMEOUT = 5

# (pattern in the server's or libpq's words, category, SQLSTATE, what to do). First match wins.
# libpq gives no SQLSTATE for a refused start-up, so its words must do.
_REFUSALS: tuple[tuple[str, str, str, str], ...] = (
    ("too many connections for role|too many connections for database", "limit", "53300", ""),
    ("too many clients already|remaining connection slots are reserved", "slots", "53300", ""),
    (
        "no more connections allowed|server_login_retry|client_login_timeout|query_wait_timeout",
        "pooler",
        "08P01",
        "look at SHOW POOLS on the pooler's console",
    ),
    (
        "unsupported startup parameter",
        "pooler",
        "08P01",
        "take options= out of the DSN: the pooler refuses it",
    ),
    (
        "password authentication failed|no password supplied|SASL authentication failed"
        "|authentication failed",
        "auth",
        "28P01",
        "check the user and the password (PGPASSWORD, ~/.pgpass, or the DSN)",
    ),
    (
        "no pg_hba.conf entry",
        "auth",
        "28000",
        "add a pg_hba.conf entry for this user, database and client address",
    ),
    ('role ".*" does not exist', "auth", "28000", "check the user in the DSN"),
    ('database ".*" does not exist|no such database', "database", "3D000", "check dbname"),
    (
        "starting up|not yet accepting connections|in recovery mode|shutting down",
        "recovery",
        "57P03",
        "the server is starting, stopping or recovering: try again in a moment",
    ),
    (
        "could not translate host name|Name or service not known|nodename nor servname"
        "|Temporary failure in name resolution|No address associated",
        "dns",
        "",
        "check the host name in the DSN",
    ),
    (
        "certificate|SSL|TLS",
        "tls",
        "",
        "check sslmode and the certificates in the DSN",
    ),
    (
        "timeout expired|timed out",
        "timeout",
        "",
        "is this the right address, is a firewall between?",
    ),
    (
        "Connection refused|No such file or directory|No route to host|Network is unreachable",
        "refused",
        "",
        "is the server running, are host and port right?",
    ),
)


async def open_connection(target: Target) -> "AsyncConnection[dict[str, Any]]":
    """Open an autocommit connection without start-up options, safe through a pooler.

    Raises:
        Unreachable: refused, with its category.
    """
    import psycopg
    from psycopg.rows import dict_row

    try:
        return await psycopg.AsyncConnection[dict[str, Any]].connect(
            target.dsn,
            autocommit=True,
            prepare_threshold=None,
            row_factory=dict_row,
            application_name="scaledoctor",
            connect_timeout=CONNECT_TIMEOUT,
            client_encoding="utf8",
        )
    except psycopg.Error as error:
        raise refusal(str(error)) from None
    except (OSError, UnicodeError) as error:
        raise Unreachable("dns", f"cannot resolve the host: {error}") from None


def refusal(text: str) -> Unreachable:
    """Classify what the server, the pooler or libpq said; the message is its telling line."""
    words = _telling_line(text)
    for pattern, category, code, enable in _REFUSALS:
        if re.search(pattern, text, re.IGNORECASE):
            if category == "timeout":
                words = f"no answer within {CONNECT_TIMEOUT} s"
            return Unreachable(category, words, code, enable)
    return Unreachable("refused", words, "", "is the server running, are host and port right?")


def _telling_line(text: str) -> str:
    """The server's last FATAL or ERROR, else libpq's first line without where it connected to."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no reason given"]
    said = [line for line in lines if re.search(r"\b(?:FATAL|ERROR):", line)]
    if said:
        return re.sub(r"^.*?\b(?:FATAL|ERROR):\s*", "", said[-1])
    return re.sub(r"^.*?connection to server (?:at|on) .*? failed: ", "", lines[0])
