"""Opening connections: TCP, TLS or a socket; past a Sentinel to its master."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from scaledoctor.errors import Unreachable
from scaledoctor.sources.redis._refusal import SECONDS, refusal
from scaledoctor.sources.redis._wire import Wire

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

TLS = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs")
"""What a URL's query may say; the rest of it is meant for other programs."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server listens and how we log in."""

    host: str = ""
    port: int = 0
    path: str = ""
    db: int | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Mapping[str, str] | None = None
    master: str = ""

    def at(self, host: str, port: int) -> "Place":
        """Another server of the same cluster or Sentinel, with the same login."""
        return Place(host, port, "", self.db, self.username, self.password, self.tls)


def place(dsn: str) -> Place:
    """Take a target's URL apart."""
    parts = urlsplit(dsn)
    words = {name: values[0] for name, values in parse_qs(parts.query).items()}
    user = unquote(parts.username) if parts.username else None
    secret = unquote(parts.password) if parts.password else None
    if parts.scheme == "unix":
        number = words.get("db")
        db = int(number) if number else None
        return Place(path=unquote(parts.path), db=db, username=user, password=secret)
    names = [part for part in parts.path.split("/") if part]
    master = names.pop(0) if parts.scheme == "redis+sentinel" else ""
    number = names[0] if names else words.get("db", words.get("virtual_host"))
    return Place(
        host=parts.hostname or "",
        port=parts.port or 0,
        db=int(number) if number else None,
        tls=_tls(words) if parts.scheme == "rediss" else None,
        username=user,
        password=secret,
        master=master,
    )


def _tls(words: Mapping[str, str]) -> dict[str, str]:
    """Certificates are verified unless the URL says otherwise; Celery writes CERT_NONE."""
    given = {name: words[name] for name in TLS if words.get(name)}
    if "ssl_cert_reqs" in given:
        given["ssl_cert_reqs"] = given["ssl_cert_reqs"].lower().removeprefix("cert_")
    return given


async def open_wire(where: Place, *, patience: float | None = SECONDS) -> Wire:
    """Connect and log in.

    Raises:
        Unreachable: refused, with its category.

    """
    import redis

    connection = _connection(where, patience)
    try:
        await connection.connect()  # type: ignore[no-untyped-call]  # redis-py has no hints here
    except (redis.RedisError, OSError, ValueError, UnicodeError) as error:
        await connection.disconnect(nowait=True)
        raise refused(error, where) from None
    return Wire(connection)


def refused(error: Exception, where: Place) -> Unreachable:
    """As :func:`refusal`; it may be that only the user was wrong."""
    from redis import exceptions

    if isinstance(error, exceptions.TimeoutError | TimeoutError):
        no = refusal("timed out")
        plain = "a port that does not speak TLS wants redis://"
        return no if where.tls is None else Unreachable(no.category, no.message, enable=plain)
    if isinstance(error, exceptions.AuthenticationWrongNumberOfArgsError):
        return refusal("invalid password")
    return refusal(str(error) or type(error).__name__)


def _connection(where: Place, patience: float | None) -> "AbstractConnection":
    """A connection that is not open yet and sends nothing of its own but the login.

    What redis-py says of itself with CLIENT SETINFO would swallow the server's first words, such
    as that it is in protected mode.
    """
    connection = _made(where, patience)
    for name in ("driver_info", "lib_name", "lib_version"):  # by version of redis-py
        setattr(connection, name, None)
    return connection


def _made(where: Place, patience: float | None) -> "AbstractConnection":
    from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    shared: dict[str, Any] = {
        "username": where.username,
        "password": where.password,
        "socket_timeout": patience,
        "socket_connect_timeout": SECONDS,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "encoding_errors": "replace",
    }
    if where.path:
        return UnixDomainSocketConnection(path=where.path, **shared)
    shared |= {"host": where.host, "port": where.port}
    if where.tls is None:
        return Connection(**shared)
    checked = where.tls.get("ssl_cert_reqs") != "none"
    tls: dict[str, Any] = {**where.tls, "ssl_check_hostname": checked}
    return SSLConnection(**shared, **tls)


async def first_words(where: Place) -> Unreachable | None:
    """Why a server hangs up: what it says to whoever connects and stays silent, if it does.

    It refuses some before they have said anything, and what it then says is lost when we write.
    """
    import asyncio

    import redis

    wire = await open_wire(Place(where.host, where.port, where.path, tls=where.tls))
    try:
        async with asyncio.timeout(1.0):
            await wire.connection.read_response(disable_decoding=True)
    except TimeoutError:
        return None
    except (redis.RedisError, OSError) as error:
        return refused(error, where)
    finally:
        await wire.close()
    return None


async def past_sentinel(where: Place) -> Place:
    """Ask a Sentinel for its master's address; it is asked without our login.

    Raises:
        Unreachable: it does not let us in, or does not know the master.

    """
    wire = await open_wire(Place(where.host, where.port))
    try:
        (found,) = await wire.run([("SENTINEL", "GET-MASTER-ADDR-BY-NAME", where.master)])
    finally:
        await wire.close()
    if isinstance(found, Exception):
        raise refused(found, where)
    if not found:
        hint = "redis-cli -p 26379 SENTINEL MASTERS names those that it watches"
        raise Unreachable("master", "this Sentinel does not know a master of that name", "", hint)
    host, port = (part.decode("utf-8", "replace") for part in found)
    return where.at(host, int(port))
