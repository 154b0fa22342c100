"""pg-boss and graphile-worker through their npm packages: tables as they make them, and counts."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scaledoctor.demo.servers import PostgresServer
from scaledoctor.sources.queues import Queue, Queues
from tests.sources.pg import last, record, run

pytestmark = [
    pytest.mark.live,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed"),
]


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both libraries, and the program that uses them."""
    folder = tmp_path_factory.mktemp("node")
    wanted = ["pg-boss@^10.4", "graphile-worker@^0.17"]
    install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *wanted]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"npm could not install them: {done.stderr[-300:]}")
    shutil.copy(Path(__file__).with_name("pg_queues.mjs"), folder)
    return folder


@pytest.fixture
def dsn(postgres_server: PostgresServer) -> Iterator[str]:
    """An empty database."""
    admin = postgres_server.dsn()
    run(admin, "DROP DATABASE IF EXISTS node WITH (FORCE)", "CREATE DATABASE node")
    yield postgres_server.dsn(dbname="node")
    run(admin, "DROP DATABASE node WITH (FORCE)")


def own(package: Path, which: str, dsn: str) -> dict[str, Any]:
    """Put jobs in, and return what the library counts."""
    command = ["node", "pg_queues.mjs", which, dsn]
    done = subprocess.run(command, cwd=package, capture_output=True, text=True, timeout=60)
    assert not done.returncode, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def queue(dsn: str) -> Queue:
    """The one queue."""
    (found,) = last(record(dsn, 0.0), Queues).queues
    return found


def test_pg_boss(package: Path, dsn: str) -> None:
    """Ready, in flight, for later, and one that failed and will be tried again."""
    counts = own(package, "boss", dsn)
    found = queue(dsn)
    assert found.label == "pg-boss mail"
    # It counts what waits for its time, too.
    waits = found.ready + (found.scheduled or 0) + (found.retrying or 0)
    assert waits == counts["ready"]
    assert (found.in_flight, found.scheduled) == (counts["active"], 1)
    assert found.oldest is not None
    assert found.oldest < 60


def test_graphile_worker(package: Path, dsn: str) -> None:
    """Ready, for later, and failed for good."""
    counts = own(package, "graphile", dsn)
    found = queue(dsn)
    assert found.label == "graphile-worker mail"
    assert found.ready == counts["ready"] == 5
    assert (found.in_flight, found.scheduled, found.dead) == (0, 1, 1)
