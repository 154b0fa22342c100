"""Logs that a real PostgreSQL writes: what we count is what we sent."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import psycopg
import pytest

from scaledoctor.demo.servers import PostgresBinaries, PostgresServer, postgres
from scaledoctor.logs.sql.inputs import inputs
from scaledoctor.logs.sql.partial import Partial
from scaledoctor.logs.sql.summary import SqlLog, summary
from scaledoctor.logs.sql.work import read
from scaledoctor.redact import Redactor
from tests.servers import needs_servers

pytestmark = pytest.mark.live

SETTINGS: dict[str, str | int] = {
    "logging_collector": "on",
    "log_min_duration_statement": 0,
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_filename": "first.log",
    "log_connections": "on",
    "log_disconnections": "on",
    "log_lock_waits": "on",
    "log_temp_files": 0,
    "deadlock_timeout": "50ms",
    "max_connections": 12,
    "superuser_reserved_connections": 3,
    "shared_preload_libraries": "auto_explain",
    "autovacuum": "off",
}
PREFIXES = [
    "%m [%p] ",
    "%t:%r:%u@%d:[%p]:",
    "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
    "%m [%p] %q%u@%d/%a ",
    "%n [%c] <%u %d> %e ",
    "%m|%p|%u|%d|%a|%h|%x|",
    "%t-%c-",
    "db=%d user=%u pid=%p vxid=%v at %m ",
    "%p-%s-%c-%l-%h-%u-%d-%m ",
]


@pytest.fixture(scope="module")
def server(pg_binaries: PostgresBinaries) -> Iterator[PostgresServer]:
    formats = "stderr,csvlog" + (",jsonlog" if pg_binaries.major >= 15 else "")
    settings = {**SETTINGS, "log_destination": formats}
    with ExitStack() as stack, needs_servers():
        yield stack.enter_context(postgres(bindir=pg_binaries.bindir, settings=settings))


@pytest.fixture(scope="module")
def folder(server: PostgresServer) -> Path:
    """The folder of logs, after everything in them has happened."""
    with psycopg.connect(server.dsn(application_name="shop"), autocommit=True) as shop:
        shop.execute("CREATE TABLE book (id int PRIMARY KEY, title text)")
        shop.execute("INSERT INTO book SELECT n, 'b' || n FROM generate_series(1, 50) n")
        for number in range(30):
            shop.execute(
                f"SELECT title FROM book WHERE id = {number} AND title <> 'x{number}'".encode()
            )
            shop.execute("SELECT id FROM book WHERE id = %s", (number,))
        _fail(shop)
        _deadlock(server, shop)
        _wait(server, shop)
        shop.execute("SET work_mem = '64kB'")
        shop.execute("SELECT count(*) FROM (SELECT n FROM generate_series(1, 40000) n ORDER BY -n"
                     " OFFSET 1) s")  # fmt: skip
        shop.execute("CHECKPOINT")
        _fill(server)
        _plans(shop)
        _rename(shop, "second.log")
    return server.data / "log"


def _fail(shop: psycopg.Connection) -> None:
    """Ten errors of one kind, one timeout."""
    for number in range(10):
        with suppress(psycopg.DataError):
            shop.execute(f"SELECT 'secret{number}'::int".encode())
    shop.execute("SET statement_timeout = 60")
    with suppress(psycopg.errors.QueryCanceled):
        shop.execute("SELECT pg_sleep(5)")
    shop.execute("RESET statement_timeout")


def _deadlock(server: PostgresServer, shop: psycopg.Connection) -> None:
    import threading

    with psycopg.connect(server.dsn()) as other:
        other.execute("UPDATE book SET title = 'o' WHERE id = 1")

        def cross() -> None:
            with suppress(psycopg.errors.DeadlockDetected):
                other.execute("UPDATE book SET title = 'o' WHERE id = 2")

        thread = threading.Thread(target=cross)
        with suppress(psycopg.errors.DeadlockDetected), shop.transaction():
            shop.execute("UPDATE book SET title = 's' WHERE id = 2")
            thread.start()
            time.sleep(0.02)
            shop.execute("UPDATE book SET title = 's' WHERE id = 1")
        if not thread.is_alive():
            other.rollback()
        thread.join()


def _wait(server: PostgresServer, shop: psycopg.Connection) -> None:
    """One wait for a lock that is longer than deadlock_timeout, and is given up."""
    with psycopg.connect(server.dsn()) as other:
        other.execute("UPDATE book SET title = 'o' WHERE id = 3")
        shop.execute("SET lock_timeout = 150")
        with suppress(psycopg.errors.LockNotAvailable):
            shop.execute("UPDATE book SET title = 's' WHERE id = 3")
        shop.execute("RESET lock_timeout")
        other.rollback()


def _fill(server: PostgresServer) -> None:
    """Open connections until one is refused."""
    with ExitStack() as stack, suppress(psycopg.OperationalError):
        for _ in range(20):
            stack.enter_context(psycopg.connect(server.dsn()))


def _plans(shop: psycopg.Connection) -> None:
    """Each plan is followed by its statement's own line."""
    for form in ("text", "json", "xml", "yaml"):
        shop.execute("SET auto_explain.log_min_duration = 0")
        shop.execute(f"SET auto_explain.log_format = {form}".encode())
        for _ in range(5):
            shop.execute("SELECT title, 'planned' FROM book WHERE id = 7")
    shop.execute("RESET auto_explain.log_min_duration")


def _rename(shop: psycopg.Connection, name: str) -> None:
    """Write to another file, and wait until the server's settings are this session's too."""
    shop.execute(f"ALTER SYSTEM SET log_filename = '{name}'".encode())
    shop.execute("SELECT pg_reload_conf()")
    for _ in range(100):
        time.sleep(0.1)
        if shop.execute("SHOW log_filename").fetchone() == (name,):
            break
    time.sleep(0.3)  # the collector's own turn


def told(path: Path, *, literals: bool = False) -> tuple[Partial, SqlLog]:
    found = inputs([str(path)], None, lambda text: None)
    with closing(found[0].file):
        partial = read(found, workers=1, literals=literals)
    return partial, summary(partial, Redactor(literals), found[0].layout.name)


def count(log: SqlLog, start: str) -> int:
    return sum(one.count for one in log.statements if one.statement.startswith(start))


@pytest.mark.parametrize("suffix", [".log", ".csv", ".json"])
def test_counts_are_what_was_sent(folder: Path, suffix: str) -> None:
    partial, log = told(folder / f"first{suffix}")
    assert (log.unread, log.untimed) == (0, 0)
    assert count(log, "SELECT title FROM book WHERE id = ? AND title <> ?") == 30
    assert count(log, "SELECT id FROM book WHERE id = ?") == 30
    assert count(log, "SELECT title, ? FROM book WHERE id = ?") == 20  # not 40: plans repeat them
    assert log.told("22P02") == 10
    assert log.told("57014") == 1
    assert log.told("40P01") == 1
    assert log.told("53300") == 1
    assert log.told("55P03") == 1
    assert log.lock_waits >= 1
    assert log.temp_files >= 1
    assert log.temp_bytes > 100_000
    assert log.connections > 3
    assert log.sessions >= 2
    assert sum(log.checkpoints.values()) >= 1
    assert {one.statement: one.errors for one in log.statements if "::int" in one.statement} == {
        "SELECT ?::int": 10
    }
    assert "secret" not in repr(log)
    assert partial.calls == log.calls


def test_three_formats_say_the_same(folder: Path) -> None:
    texts = {s: told(folder / f"first{s}")[1] for s in (".log", ".csv", ".json")}
    # The statements around the rotation may stand in the first file of one, the second of another.
    rows = {
        suffix: [
            (o.statement, o.count, o.seconds, o.p95, o.errors)
            for o in log.statements
            if "FROM book" in o.statement or o.errors
        ]
        for suffix, log in texts.items()
    }
    assert len(rows[".log"]) >= 5
    assert rows[".log"] == rows[".csv"] == rows[".json"]
    assert texts[".log"].problems == texts[".csv"].problems == texts[".json"].problems


def test_literals_are_shown_when_asked_for(folder: Path) -> None:
    _, log = told(folder / "first.csv", literals=True)
    assert "'planned'" in repr([one.slowest for one in log.statements])


@pytest.mark.parametrize("prefix", PREFIXES)
def test_any_prefix_is_inferred(server: PostgresServer, folder: Path, prefix: str) -> None:
    name = f"prefix{PREFIXES.index(prefix)}.log"
    with psycopg.connect(server.dsn(application_name="my app"), autocommit=True) as shop:
        shop.execute(f"ALTER SYSTEM SET log_line_prefix = '{prefix}'".encode())
        _rename(shop, name)
        for number in range(10):
            shop.execute(f"SELECT title FROM book\nWHERE id = {number}".encode())
            with suppress(psycopg.DataError):
                shop.execute("SELECT 'x'::int")
    time.sleep(0.1)
    partial, log = told(folder / name)
    assert count(log, "SELECT title FROM book WHERE id = ?") == 10
    assert log.told("22P02") == 10
    assert partial.understood > 0.95
    assert log.first > 1_700_000_000


@pytest.mark.skipif(shutil.which("pgbadger") is None, reason="apt-get install pgbadger")
def test_counts_are_those_of_pgbadger(server: PostgresServer, folder: Path, tmp_path: Path) -> None:
    """On a log without plans, which it counts beside the statements that they are of."""
    with psycopg.connect(server.dsn(), autocommit=True) as shop:
        shop.execute("ALTER SYSTEM SET log_line_prefix = '%m [%p] %q%u@%d '")
        _rename(shop, "between.log")  # the last lines with the old prefix stand in this one
        _rename(shop, "peer.log")
        for number in range(40):
            shop.execute(f"SELECT title FROM book WHERE id = {number} /* x */".encode())
            shop.execute("SELECT id FROM book WHERE id = %s", (number,))
            with suppress(psycopg.DataError):
                shop.execute("SELECT 'x'::int")
    time.sleep(0.1)
    out = tmp_path / "out.json"
    options = ["-q", "-f", "stderr", "-p", "%m [%p] %q%u@%d ", "-x", "json"]
    places = ["--pid-dir", str(tmp_path), "-o", str(out), str(folder / "peer.log")]
    subprocess.run(["pgbadger", *options, *places], check=True, capture_output=True)
    theirs = json.loads(out.read_text())["overall_stat"]["postgres"]
    _, ours = told(folder / "peer.log")
    assert ours.calls == theirs["queries_number"]
    assert ours.told("22P02") == theirs["errors_number"] == 40
