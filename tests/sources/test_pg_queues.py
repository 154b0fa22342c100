"""Queues in PostgreSQL's tables: numbers as their libraries count them, and what is not for us."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from scaledoctor.demo.servers import PostgresBinaries, PostgresServer, postgres, standby_of
from scaledoctor.snapshot import Record
from scaledoctor.sources.postgres.queues import QueueTables
from scaledoctor.sources.queues import Queue, Queues
from tests.servers import StartPgBouncer
from tests.sources.pg import last, readings, record, run
from tests.sources.pg_queue_tables import LIBRARIES, OBAN, PGMQ, Library

pytestmark = pytest.mark.live


@contextmanager
def database(server: PostgresServer, name: str, *scripts: str) -> Iterator[str]:
    """A database of its own in which the scripts have run, in a zone that is not UTC; its DSN."""
    run(server.dsn(), f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name}")
    run(server.dsn(), f"ALTER DATABASE {name} SET timezone = 'Pacific/Auckland'")
    dsn = server.dsn(dbname=name)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for script in scripts:
            connection.execute(script.encode())
        yield dsn
    run(server.dsn(), f"DROP DATABASE {name} WITH (FORCE)")


def only(found: Record) -> Queue:
    """The one queue."""
    (queue,) = last(found, Queues).queues
    return queue


def counted(dsn: str, query: str) -> tuple[int, float]:
    """A library's own count and age."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0]), float(row[1])


@pytest.fixture(scope="module")
def all_of_them(shop: PostgresServer) -> Iterator[tuple[Record, dict[str, tuple[int, float]]]]:
    """A scan of one database in which every library has its tables, and their own numbers."""
    scripts = [script for one in LIBRARIES for script in (one.ddl, one.jobs)]
    with database(shop, "libraries", *scripts) as dsn:
        own = {one.label: counted(dsn, one.own) for one in LIBRARIES}
        yield record(dsn, 0.0), own


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda one: str(one.label))
def test_the_numbers_are_those_of_the_library(
    all_of_them: tuple[Record, dict[str, tuple[int, float]]], library: Library
) -> None:
    """Ready, oldest, in flight, scheduled, retries, dead, stuck, workers."""
    found, own = all_of_them
    (queue,) = [q for q in last(found, Queues).queues if q.label == library.label]
    ready, oldest = own[library.label]
    assert (queue.ready, queue.more) == (ready, False)
    assert ready >= 6
    assert queue.oldest == pytest.approx(oldest, abs=3.0)
    names = ("in_flight", "scheduled", "retrying", "dead", "stuck", "consumers", "slots", "paused")
    assert {n: getattr(queue, n) for n in names} == {n: getattr(library, n) for n in names}


@pytest.mark.parametrize("library", [PGMQ, OBAN], ids=lambda one: str(one.label))
def test_counts_what_comes(shop: PostgresServer, library: Library) -> None:
    """Over the window: from the table's counters, or by the ids of several queues."""
    with database(shop, "queues", library.ddl, library.jobs) as dsn:
        if library is OBAN:
            run(dsn, "INSERT INTO oban_jobs (queue) VALUES ('low')")
        found = record(dsn, 2.6, act=lambda: run(dsn, *[library.call] * 5), tick=2)
    window = readings(found, Queues)
    queue = window.last.find(*library.label.split())
    assert queue is not None
    assert (queue.arrived, len(window)) == (5.0, 2)
    assert queue.ready == 12


def test_a_plain_role_is_told_what_to_grant(shop: PostgresServer) -> None:
    """Nothing is quiet: the reading is skipped, and the grant makes it work."""
    with database(shop, "queues", OBAN.ddl, OBAN.jobs) as dsn:
        plain = shop.dsn("plain", "queues")
        (skip,) = [s for s in record(plain, 0.0).skips if s.what == "Queues"]
        assert skip.reason == "role plain may not read public.oban_jobs"
        for line in skip.enable.rstrip(";").split(";"):
            run(dsn, line)
        queue = only(record(plain, 0.0))
        assert (queue.ready, queue.consumers) == (7, None)
        run(dsn, "ALTER TABLE oban_jobs ENABLE ROW LEVEL SECURITY")
        (skip,) = [s for s in record(plain, 0.0).skips if s.what == "Queues"]
        assert "row level security hides" in skip.reason


def test_what_is_locked_is_left_alone(shop: PostgresServer) -> None:
    """The one table is said to be locked, the other is read."""
    with (
        database(shop, "queues", OBAN.ddl, OBAN.jobs, PGMQ.ddl, PGMQ.jobs) as dsn,
        psycopg.connect(dsn) as holder,
    ):
        holder.execute("LOCK TABLE oban_jobs IN ACCESS EXCLUSIVE MODE")
        found = record(dsn, 0.0)
        holder.rollback()
    queues = last(found, Queues)
    assert [q.label for q in queues.queues] == ["pgmq mail"]
    assert [u.name for u in queues.unread] == ["public.oban_jobs"]
    assert "exclusive lock" in queues.unread[0].reason


def test_a_deep_queue_costs_no_more_than_a_shallow_one(shop: PostgresServer) -> None:
    """Half a million finished jobs and thirty thousand that wait: a bounded count, by the index."""
    many = """
    INSERT INTO oban_jobs (queue, state) SELECT 'mail', 'completed' FROM generate_series(1, 500000);
    INSERT INTO oban_jobs (queue, state, scheduled_at)
    SELECT 'mail', 'available', timezone('UTC', now()) - interval '50 s'
    FROM generate_series(1, 30000)
    """
    with database(shop, "queues", OBAN.ddl, many) as dsn:
        run(dsn, "ANALYZE oban_jobs")
        before = scanned(dsn)
        found = record(dsn, 0.0)
        after = scanned(dsn)
        queue = only(found)
    assert (queue.ready, queue.more) == (10_001, True)
    assert queue.oldest == pytest.approx(50, abs=20)
    assert after == before


def scanned(dsn: str) -> int:
    """How often the table was read whole."""
    with psycopg.connect(dsn) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        query = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'oban_jobs'"
        row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def test_a_large_table_without_its_index_is_not_read(shop: PostgresServer) -> None:
    """It says which index it looked for."""
    ddl = OBAN.ddl.replace("(state, queue, priority, scheduled_at, id)", "(queue)")
    many = "INSERT INTO oban_jobs (queue) SELECT 'mail' FROM generate_series(1, 210000)"
    with database(shop, "queues", ddl, many) as dsn:
        run(dsn, "ANALYZE oban_jobs")
        (skip,) = [s for s in record(dsn, 0.0).skips if s.what == "Queues"]
    assert skip.reason == "public.oban_jobs is large and no index of it leads with state"


def test_a_database_without_queues(shop: PostgresServer) -> None:
    """No table, no queue, no complaint; a table of the same name with other columns is none."""
    with database(shop, "queues", "CREATE TABLE job (id int); CREATE TABLE oban_jobs (x int)") as d:
        found = record(d, 0.0)
    assert last(found, Queues) == Queues(())
    assert last(found, QueueTables) == QueueTables(())


def test_two_applications_in_one_database(shop: PostgresServer) -> None:
    """A queue in another schema than the usual one says so."""
    ddl = f"CREATE SCHEMA other; SET search_path = other; {OBAN.ddl} {OBAN.jobs}; RESET search_path"
    with database(shop, "queues", OBAN.ddl, OBAN.jobs, ddl) as dsn:
        labels = [q.label for q in last(record(dsn, 0.0), Queues).queues]
    assert sorted(labels) == ["oban mail", "oban mail@other"]


@pytest.mark.slow
def test_on_a_standby(pg_binaries: PostgresBinaries) -> None:
    """The jobs are there; the register of workers is unlogged, so nothing is said of them."""
    with (
        postgres(bindir=pg_binaries.bindir) as primary,
        database(primary, "queues", OBAN.ddl, OBAN.jobs),
        standby_of(primary) as standby,
    ):
        queue = only(record(standby.dsn(dbname="queues"), 0.0))
    assert (queue.ready, queue.consumers) == (7, None)


def test_through_a_pooler(shop: PostgresServer, start_pgbouncer: StartPgBouncer) -> None:
    """In transaction mode, each statement with its guards; a large table by its index."""
    many = "INSERT INTO oban_jobs (queue) SELECT 'mail' FROM generate_series(1, 210000)"
    with database(shop, "queues", OBAN.ddl, many) as dsn:
        run(dsn, "ANALYZE oban_jobs")
        queue = only(record(start_pgbouncer(shop).dsn(dbname="queues"), 0.0))
    assert (queue.ready, queue.more) == (10_001, True)


def test_a_version_that_is_not_known(shop: PostgresServer) -> None:
    """Other types under the same names: it is said, and nothing crashes."""
    columns = "id text, state int, queue text, scheduled_at text, attempted_at text"
    ddl = f"CREATE TABLE oban_jobs ({columns})"
    with database(shop, "queues", ddl) as dsn:
        found = record(dsn, 0.0)
    (skip,) = [s for s in found.skips if s.what == "Queues"]
    assert skip.reason.startswith("public.oban_jobs is of a version that is not known")
