"""A database of each version to look at, shared by the tests of the PostgreSQL source."""

from collections.abc import Iterator

import pytest

from scaledoctor.demo.servers import PostgresBinaries, PostgresServer, postgres
from tests.sources.pg import run

SETTINGS: dict[str, str | int] = {
    "shared_preload_libraries": "pg_stat_statements",
    "max_prepared_transactions": 5,
    "wal_level": "logical",
    "deadlock_timeout": "100ms",
}

ROLES = """
CREATE ROLE watcher LOGIN IN ROLE pg_monitor
CREATE ROLE novice LOGIN IN ROLE pg_monitor
CREATE ROLE plain LOGIN
CREATE ROLE app LOGIN
CREATE DATABASE shop OWNER app
"""

TABLES = """
CREATE SCHEMA "spare parts"
GRANT USAGE ON SCHEMA "spare parts" TO watcher
CREATE EXTENSION pg_stat_statements SCHEMA "spare parts"
SET ROLE app
CREATE TABLE account (id int PRIMARY KEY, owner int, balance int)
INSERT INTO account SELECT i, i % 10, 0 FROM generate_series(1, 1000) i
ANALYZE account
"""


@pytest.fixture(scope="session")
def shop(pg_binaries: PostgresBinaries) -> Iterator[PostgresServer]:
    """A server with a database ``shop``; roles ``app``, ``watcher`` (pg_monitor), ``plain``."""
    with postgres(bindir=pg_binaries.bindir, settings=SETTINGS) as server:
        run(server.dsn(), *ROLES.strip().splitlines())
        run(server.dsn(dbname="shop"), *TABLES.strip().splitlines())
        yield server
