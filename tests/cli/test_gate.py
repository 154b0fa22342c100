"""The gate on a real server: the same load passes, a dropped index does not."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from scaledoctor.demo.servers import PostgresServer, postgres
from tests.cli.conftest import Cli
from tests.servers import postgres_binaries

pytestmark = pytest.mark.live

SHOP = """
CREATE EXTENSION pg_stat_statements;
CREATE TABLE parts (id int PRIMARY KEY, bin int, note text);
INSERT INTO parts SELECT i, i % 5000, repeat('x', 100) FROM generate_series(1, 20000) i;
CREATE INDEX parts_bin ON parts (bin);
ANALYZE parts;
"""
LOOK = "SELECT id, note FROM parts WHERE bin = %s"


@pytest.fixture(scope="module")
def shop() -> Iterator[PostgresServer]:
    """A server that counts statements, with one table."""
    settings = {"shared_preload_libraries": "pg_stat_statements"}
    with postgres(bindir=postgres_binaries(18).bindir, settings=settings) as server:
        with psycopg.connect(server.dsn(), autocommit=True) as db:
            db.execute(SHOP)
        yield server


@contextmanager
def load(server: PostgresServer) -> Iterator[None]:
    """One client that looks up parts until the block ends."""
    stop = threading.Event()

    def work() -> None:
        with psycopg.connect(server.dsn(), autocommit=True, application_name="shop") as db:
            number = 0
            while not stop.wait(0.004):
                number = (number + 1) % 5000
                db.execute(LOOK, (number,)).fetchall()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def recorded(cli: Cli, server: PostgresServer, name: str) -> Path:
    """A snapshot under load."""
    path = Path(name).absolute()
    with load(server):
        done = cli("collect", "--dsn", server.dsn(), "--window", 2, "-o", path)
    assert done.code == 0
    return path


def test_the_same_load_passes_and_a_dropped_index_fails(cli: Cli, shop: PostgresServer) -> None:
    """By blocks per call, which do not depend on how busy this machine is."""
    good = recorded(cli, shop, "good.json")
    again = recorded(cli, shop, "again.json")
    assert cli("baseline", "write", good, "-o", "base.json").code == 0
    same = cli("gate", "base.json", again, "--fail-on", "none")
    assert (same.code, same.err) == (0, ""), same.out
    assert same.out.startswith("no regression against base.json\n")
    with psycopg.connect(shop.dsn(), autocommit=True) as db:
        db.execute("DROP INDEX parts_bin")
    slow = recorded(cli, shop, "slow.json")
    worse = cli("gate", "base.json", slow, "--fail-on", "none")
    assert worse.code == 5
    assert worse.out.startswith("REGRESSION against base.json: ")
    assert "blocks per call" in worse.out
    assert cli("gate", good, slow, "--fail-on", "none").code == 5, "two snapshots do as well"
    report = json.loads(cli("scan", "--from", slow, "--baseline", "base.json", "-o", "json").out)
    assert report["gate"]["failed"] is True
    shown = cli("scan", "--from", slow, "--baseline", "base.json")
    assert (shown.code, "Beside the baseline" in shown.out) == (5, True)
    assert "blocks per call" in cli("baseline", "show", "base.json").out


def test_what_cannot_be_compared_is_loud_and_not_shut(cli: Cli, snapshot: Path) -> None:
    """A one-shot snapshot is no measure; other files are told apart."""
    done = cli("baseline", "write", snapshot, "-o", "base.json")
    assert (done.code, done.out) == (2, "")
    assert "no baseline from this scan: it was one shot" in done.err
    Path("x.json").write_text("[]")
    assert "neither a baseline nor a snapshot" in cli("gate", "x.json", snapshot).err
    done = cli("scan", "--baseline", "none.json")
    assert (done.code, "scaledoctor baseline write" in done.err) == (2, True)
