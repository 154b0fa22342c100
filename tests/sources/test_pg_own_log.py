"""The server's own log, read through its connection: what a scan of the DSN alone tells."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
import pytest

from scaledoctor.collect import collect
from scaledoctor.demo.servers import PostgresBinaries, PostgresServer, postgres
from scaledoctor.diagnosis import diagnose
from scaledoctor.redact import Redactor
from scaledoctor.report import Report
from scaledoctor.sources.postgres import own_log
from scaledoctor.sources.postgres.own_log import OwnLog
from scaledoctor.sources.sql_log import RepeatedQueries, SqlLog
from scaledoctor.targets import targets
from tests.servers import StartPgBouncer, needs_servers
from tests.sources.pg import last, look, record, registry, run, until

pytestmark = pytest.mark.live

SETTINGS: dict[str, str | int] = {
    "logging_collector": "on",
    "log_min_duration_statement": 0,
    "log_line_prefix": "%m [%p] %q%u@%d/%a ",
    "log_lock_waits": "on",
    "log_temp_files": 0,
    "deadlock_timeout": "30ms",
    "max_connections": 20,
    "superuser_reserved_connections": 3,
}
GRANTS = [f"GRANT EXECUTE ON FUNCTION {one} TO reader" for one in own_log.FUNCTIONS]


@pytest.fixture(scope="module")
def server(pg_binaries: PostgresBinaries) -> Iterator[PostgresServer]:
    """A server with a role that may read its log, one of pg_monitor alone, and a plain one."""
    with ExitStack() as stack, needs_servers():
        found = stack.enter_context(postgres(bindir=pg_binaries.bindir, settings=SETTINGS))
        run(
            found.dsn(),
            "CREATE ROLE reader LOGIN IN ROLE pg_read_all_stats",
            "CREATE ROLE watcher LOGIN IN ROLE pg_monitor",
            "CREATE ROLE plain LOGIN",
            *GRANTS,
            "CREATE TABLE author (id int PRIMARY KEY, name text)",
            "CREATE TABLE book (id int PRIMARY KEY, author_id int, title text)",
            "INSERT INTO author SELECT n, 'a' || n FROM generate_series(1, 50) n",
            "INSERT INTO book SELECT n, n, 'b' || n FROM generate_series(1, 50) n",
        )
        yield found


def shop(server: PostgresServer, requests: int = 4) -> None:
    """A list of books, and the author of each."""
    with psycopg.connect(server.dsn(application_name="shop"), autocommit=True) as connection:
        for _ in range(requests):
            books = connection.execute("SELECT id, author_id FROM book ORDER BY id").fetchall()
            for _, author in books:
                connection.execute("SELECT name FROM author WHERE id = %s", (author,))
            time.sleep(0.3)


def current(server: PostgresServer) -> Path:
    with psycopg.connect(server.dsn()) as connection:
        (name,) = connection.execute("SELECT pg_current_logfile()").fetchone() or ("",)
    return server.data / str(name)


def report(server: PostgresServer, user: str) -> Report:
    return diagnose(look(server.dsn(user), 0.0), registry())


def test_a_dsn_alone_finds_an_n_plus_one(server: PostgresServer) -> None:
    shop(server)
    found = record(server.dsn("reader"), 0.0)
    log, queries = last(found, SqlLog), last(found, RepeatedQueries)
    assert log.live
    assert log.own == queries.own != ""
    told = report(server, "reader")
    found_in = [*(d.finding for d in told.diagnoses), *told.risks]
    (one,) = [f for f in found_in if f.check == "app.n-plus-one"]
    assert one.subject == "SELECT name FROM author WHERE id = $1 for each row of book"


@pytest.mark.parametrize("user", ["watcher", "plain"])
def test_a_role_that_may_not_has_one_blind_spot(server: PostgresServer, user: str) -> None:
    told = report(server, user)
    (blind,) = [f for f in told.blind_spots if f.check == "postgres.log-unread"]
    assert blind.summary == f"the server's own log is not read: role {user} may not read it"
    assert not [s for s in told.skipped if "log" in s.what or s.what in ("SqlLog", "OwnLog")]
    assert "app.n-plus-one" not in {s.what for s in told.skipped}
    grants = last(record(server.dsn(user), 0.0), OwnLog).grants
    major = server.major
    assert len(grants) == (3 if user == "plain" else 2 if major < 16 else 1)


def checks(told: Report) -> list[str]:
    return [d.finding.check for d in told.diagnoses] + [f.check for f in told.risks]


def test_a_log_that_is_named_is_told_once(server: PostgresServer) -> None:
    """Not a second time as the server's own."""
    shop(server, 2)
    path = current(server)
    found = targets({"dsn": [server.dsn("reader")], "log": [str(path)]}, {})[1:]
    told = diagnose(collect(found, registry(), Redactor(), 0.0), registry())
    assert checks(told).count("app.n-plus-one") == 1
    assert "postgres.log-unread" not in [f.check for f in told.blind_spots]


def test_nothing_of_it_through_a_pooler(
    server: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    pooler = start_pgbouncer(server)
    found = record(pooler.dsn("postgres"), 0.0)
    assert last(found, OwnLog) == OwnLog()
    assert not {"SqlLog", "RepeatedQueries"} & {*found.samples, *(s.what for s in found.skips)}


def test_a_server_with_other_worries_is_left_alone(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_log, "CROWD", 0)
    found = record(server.dsn("reader"), 0.0)
    assert last(found, OwnLog) == OwnLog()
    assert "SqlLog" not in found.samples


def test_only_the_newest_bytes_are_read(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole messages of them, and the fact says so."""
    shop(server, 2)
    monkeypatch.setattr(own_log, "FIRST_PIECE", 2000)
    monkeypatch.setattr(own_log, "MOST_BYTES", 6000)
    log = last(record(server.dsn("reader"), 0.0), SqlLog)
    assert (log.note, log.unread) == (own_log.CUT, 0)
    assert 0 < log.lines < 60
    monkeypatch.setattr(own_log, "MOST_BYTES", 8 << 20)
    log = last(record(server.dsn("reader"), 0.0), SqlLog)
    assert (log.note, log.unread) == ("", 0)
    assert log.lines > 100


def test_a_rotated_log_is_read_on_in_the_file_before(server: PostgresServer) -> None:
    """And what is not of its kind is left out."""
    before = current(server)
    (server.data / "log" / "backup.log").write_text("just words\n" * 50)
    calls = last(record(server.dsn("reader"), 0.0), SqlLog).calls
    run(server.dsn(), "SELECT pg_rotate_logfile()")
    until(lambda: current(server) != before)
    assert last(record(server.dsn("reader"), 0.0), SqlLog).calls > calls


def _at_once(server: PostgresServer, count: int, statement: str, *before: str) -> None:
    """The same statement in several sessions at the same time, whatever becomes of it."""

    def work() -> None:
        with suppress(psycopg.Error), psycopg.connect(server.dsn(), autocommit=True) as session:
            for one in before:
                session.execute(one.encode())
            session.execute(statement.encode())

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _deadlock(server: PostgresServer) -> None:
    with psycopg.connect(server.dsn()) as one, psycopg.connect(server.dsn()) as other:
        one.execute("UPDATE book SET title = 'o' WHERE id = 1")
        other.execute("UPDATE book SET title = 'o' WHERE id = 2")

        def cross() -> None:
            with suppress(psycopg.errors.DeadlockDetected):
                other.execute("UPDATE book SET title = 'o' WHERE id = 1")

        thread = threading.Thread(target=cross)
        thread.start()
        with suppress(psycopg.errors.DeadlockDetected):
            one.execute("UPDATE book SET title = 'o' WHERE id = 2")
            one.rollback()
        thread.join()
        one.rollback()


def _trouble(server: PostgresServer) -> None:
    """All that the checks on a log look for, a little above their thresholds."""
    for _ in range(3):
        _deadlock(server)
    _at_once(server, 6, "SELECT pg_sleep(9)", "SET statement_timeout = 50")
    _at_once(server, 14, "SELECT pg_sleep(3)")
    with psycopg.connect(server.dsn()) as holder:
        holder.execute("UPDATE book SET title = 'h' WHERE id = 3")
        waiting = "UPDATE book SET title = 'w' WHERE id = 3"
        thread = threading.Thread(target=_at_once, args=(server, 10, waiting))
        thread.start()
        time.sleep(2.5)
        holder.rollback()
        thread.join()
    spill = (
        "SELECT count(*) FROM (SELECT n FROM generate_series(1, 600000) n ORDER BY -n OFFSET 1) s"
    )
    _at_once(server, 12, spill, "SET work_mem = '64kB'", "SET max_parallel_workers_per_gather = 0")
    with ExitStack() as stack:
        for _ in range(30):
            with suppress(psycopg.OperationalError):
                stack.enter_context(psycopg.connect(server.dsn()))


@pytest.mark.slow
def test_a_real_log_of_trouble_is_told_by_each_check(server: PostgresServer) -> None:
    """From the file alone, without the database: no live fact tells it."""
    _trouble(server)
    path = current(server)
    found = [t for t in targets({"log": [str(path)]}, {}) if t.kind == "sql-log"]
    told = diagnose(collect(found, registry(), Redactor(), 0.0), registry())
    by_check = {d.finding.check: d.finding for d in told.diagnoses if "log." in d.finding.check}
    assert sorted(by_check) == [
        "log.deadlocks", "log.lock-waits", "log.slow-statements", "log.statement-timeouts",
        "log.temporary-files", "log.too-many-clients",
    ]  # fmt: skip
    assert by_check["log.lock-waits"].subject == "UPDATE book SET title = ? WHERE id = ?"
    assert by_check["log.temporary-files"].subject.startswith("SELECT count(*) FROM (SELECT n")
    assert by_check["log.slow-statements"].subject == "SELECT pg_sleep(?)"
