"""A Redis for the tests of the queues: emptied before each."""

from collections.abc import Iterator

import pytest
import redis as client

from scaledoctor.demo.servers import RedisServer, redis
from tests.servers import needs_servers


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A server shared by all."""
    with needs_servers(), redis() as server:
        yield server


@pytest.fixture
def r(redis_server: RedisServer) -> Iterator[client.Redis]:
    """A client of its database 0, which is empty, as the others are; nobody else is connected."""
    with client.Redis(port=redis_server.port) as connection:
        for kind in ("normal", "pubsub"):  # pools of this process that earlier tests left
            connection.client_kill_filter(_type=kind, skipme=True)
        connection.flushall()
        yield connection


@pytest.fixture
def url(redis_server: RedisServer) -> str:
    """The URL of database 0."""
    return redis_server.url(0)
