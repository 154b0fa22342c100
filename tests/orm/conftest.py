"""One library for all tests, behind a pooler and without one."""

from collections.abc import Iterator

import psycopg
import pytest

from scaledoctor.demo.servers import PostgresServer, pgbouncer, postgres
from tests.orm.library import LOGGING, SCHEMA, Library
from tests.servers import needs_servers, postgres_binaries


@pytest.fixture(scope="package")
def logging_server() -> Iterator[PostgresServer]:
    """A server of version 18 that logs all statements."""
    with (
        needs_servers(),
        postgres(bindir=postgres_binaries(18).bindir, settings=LOGGING) as server,
    ):
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute(SCHEMA.encode())
        yield server


@pytest.fixture(scope="package")
def direct(logging_server: PostgresServer) -> Library:
    """Clients connect to the server itself."""
    return Library(logging_server, logging_server.port)


@pytest.fixture(scope="package")
def behind_pool(logging_server: PostgresServer) -> Iterator[Library]:
    """Two servers for all clients, transaction by transaction."""
    with needs_servers(), pgbouncer(logging_server.port, ini={"default_pool_size": 2}) as pool:
        yield Library(logging_server, pool.port)


@pytest.fixture(scope="package")
def named_pool(logging_server: PostgresServer) -> Iterator[Library]:
    """The same with application_name_add_host."""
    ini = {"default_pool_size": 2, "application_name_add_host": 1}
    with needs_servers(), pgbouncer(logging_server.port, ini=ini) as pool:
        yield Library(logging_server, pool.port)


@pytest.fixture(params=["direct", "pooled"])
def library(request: pytest.FixtureRequest) -> Library:
    """Each in turn."""
    name = "direct" if request.param == "direct" else "behind_pool"
    found: Library = request.getfixturevalue(name)
    return found
