"""Programs without an ORM, on a real PostgreSQL: loops, batches, polls, and pgbench."""

import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from scaledoctor.logs.nplusone.judging import Pattern
from scaledoctor.sdk import Kind
from scaledoctor.sources.pgbouncer import PoolerDatabases
from scaledoctor_checks.app.n_plus_one import n_plus_one
from tests.orm.library import AUTHORS, BOOKS, Library, unhurried

pytestmark = pytest.mark.live

Connection = psycopg.Connection[tuple[Any, ...]]

BY_ID = "SELECT title FROM book WHERE id = %s"


def connect(library: Library) -> Connection:
    """One client."""
    return psycopg.connect(library.url(), autocommit=True, prepare_threshold=None)


@unhurried
def test_a_loop_by_hand(library: Library) -> None:
    """Keys of a list, one look-up each, in autocommit."""
    with library.logged(), connect(library) as connection:
        for (key,) in connection.execute("SELECT id FROM book").fetchall():
            connection.execute(BY_ID, (key,))
    assert (library.only.calls, library.only.table) == (AUTHORS * BOOKS, "book")
    assert list(n_plus_one(library.told))


@unhurried
def test_writes_one_by_one(direct: Library) -> None:
    """A transaction with an INSERT per row, as executemany of older drivers sends them."""
    insert = "INSERT INTO event VALUES (%s, %s)"
    with direct.logged(), connect(direct) as connection, connection.transaction():
        for number in range(100):
            connection.execute(insert, (number, "one"))
    assert (direct.only.pattern, direct.only.calls) == (Pattern.WRITES, 100)


def batches(connection: Connection) -> None:
    """executemany in a pipeline, COPY, rows of several values, and an array."""
    rows = [(number, "many") for number in range(1000, 1100)]
    with connection.cursor() as cursor, connection.transaction():
        cursor.executemany("INSERT INTO event VALUES (%s, %s)", rows)
        with cursor.copy("COPY event FROM STDIN") as copy:
            for number in range(2000, 2100):
                copy.write_row((number, "copied"))
    connection.execute("SELECT id FROM author")
    for number in range(30):
        connection.execute("SELECT * FROM book WHERE id = ANY(%s)", ([number, number + 1],))
        connection.execute("SELECT * FROM book WHERE id IN (%s, %s)", (number, number + 1))


def polls(connection: Connection) -> None:
    """The same question, and a health check before each."""
    for _ in range(40):
        connection.execute("SELECT 1")
        connection.execute("SELECT * FROM event WHERE kind = 'new' ORDER BY id LIMIT 10")


def find_each(connection: Connection) -> None:
    """Batches by key."""
    connection.execute("SELECT * FROM author")
    last = 0
    for _ in range(14):
        query = "SELECT id FROM book WHERE id > %s ORDER BY id LIMIT 6"
        last = connection.execute(query, (last,)).fetchall()[-1][0]


def keep_alive(connection: Connection) -> None:
    """Three routes, fifty requests each, one after the other."""
    for number in range(50):
        connection.execute(BY_ID, (number % 84 + 1,))
        connection.execute("SELECT name FROM author WHERE id = %s", (number % 12 + 1,))
        connection.execute("SELECT kind FROM event WHERE id = %s", (number,))


def cursor_of_the_server(connection: Connection) -> None:
    """DECLARE and many FETCHes."""
    with connection.transaction(), connection.cursor(name="c") as cursor:
        cursor.itersize = 5
        cursor.execute("SELECT * FROM book")
        assert len(list(cursor)) == AUTHORS * BOOKS


SCENES = [batches, polls, find_each, keep_alive, cursor_of_the_server]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_what_only_looks_like_it(direct: Library, scene: Callable[[Connection], None]) -> None:
    """The check says nothing."""
    with connect(direct) as connection:
        connection.execute("DELETE FROM event")
        time.sleep(0.3)
        with direct.logged():
            scene(connection)
    # A pipeline's statements are below 0.1 ms apart, but not where the machine is busy.
    assert not list(n_plus_one(direct.told, pipelined=0.005))


@pytest.mark.parametrize(
    "flags", [(), ("-S",), ("-N",), ("-M", "prepared"), ("-S", "-M", "extended")], ids=" ".join
)
def test_pgbench_is_quiet(direct: Library, flags: tuple[str, ...]) -> None:
    """Four clients for a thousand transactions, by every protocol."""
    program = direct.server.bindir / "pgbench"
    if not program.exists():
        pytest.skip("this PostgreSQL has no pgbench")
    command = [str(program), "-h", "127.0.0.1", "-p", str(direct.port), "-U", "postgres"]
    with direct.logged():
        subprocess.run([*command, "-i", "-q", "postgres"], check=True, capture_output=True)
        load = [*command, "-n", "-c", "4", "-t", "250", *flags, "postgres"]
        subprocess.run(load, check=True, capture_output=True)
    assert not direct.told.found
    assert direct.told.statements >= 1000


@pytest.mark.slow
def test_clients_mixed_by_a_pooler_are_suspected(behind_pool: Library) -> None:
    """Six clients in autocommit share two servers: nothing tells their statements apart."""

    def pages(_: int) -> None:
        with connect(behind_pool) as connection:
            for _ in range(10):
                for (key,) in connection.execute("SELECT id FROM author").fetchall():
                    connection.execute("SELECT * FROM book WHERE author_id = %s", (key,))

    with behind_pool.logged(), ThreadPoolExecutor(6) as pool:
        list(pool.map(pages, range(6)))
    found = list(n_plus_one(behind_pool.told, None, PoolerDatabases(())))
    assert [f.kind for f in found] == [Kind.RISK]
    assert "for each row of author" in found[0].subject
    assert "application_name_add_host = 1" in found[0].fixes[0].commands


@pytest.mark.slow
def test_the_pooler_can_tell_them_apart(named_pool: Library) -> None:
    """The same with application_name_add_host: each client's pages, and how many."""

    def pages(_: int) -> None:
        with connect(named_pool) as connection:
            for _ in range(10):
                for (key,) in connection.execute("SELECT id FROM author").fetchall():
                    connection.execute("SELECT * FROM book WHERE author_id = %s", (key,))

    with named_pool.logged(), ThreadPoolExecutor(6) as pool:
        list(pool.map(pages, range(6)))
    assert (named_pool.only.sure, named_pool.only.median) == (True, AUTHORS)
    assert named_pool.only.calls >= 0.9 * 60 * AUTHORS
    (one,) = n_plus_one(named_pool.told, None, PoolerDatabases(()))
    assert one.kind is Kind.LIVE


def test_traces_tell_requests_apart_behind_a_pooler(behind_pool: Library) -> None:
    """sqlcommenter: four clients on two servers, each page exactly, with its route."""

    def page(number: int) -> None:
        trace = f"traceparent='00-{number:032x}-{number:016x}-01'"
        comment = f"/*controller='authors',action='list',{trace}*/"
        with connect(behind_pool) as connection:
            found = connection.execute(f"SELECT id FROM author {comment}".encode()).fetchall()
            look_up = f"SELECT * FROM book WHERE author_id = %s {comment}".encode()
            for (key,) in found[: 5 + number % 2]:
                connection.execute(look_up, (key,))

    with behind_pool.logged(), ThreadPoolExecutor(4) as pool:
        list(pool.map(page, range(1, 21)))
    one = behind_pool.only
    assert (one.route, one.sure) == ("authors#list", True)
    assert (one.requests, one.median, one.most, one.calls) == (20, 5, 6, 110)
