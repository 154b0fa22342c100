"""pg_stat_statements alone, on a real server: lazy loading is suspected, ordinary work is not."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from scaledoctor.engine import scan
from scaledoctor.model import Finding, Kind
from scaledoctor.redact import Redactor
from scaledoctor.registry import load
from scaledoctor.targets import targets
from tests.orm.library import Library

pytestmark = pytest.mark.live

CHECK = "app.n-plus-one-suspected"


@pytest.fixture(scope="module")
def counted(direct: Library) -> Library:
    """The library with its statements counted."""
    with psycopg.connect(direct.url(), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    return direct


@contextmanager
def running(library: Library, once: Callable[[psycopg.Connection], object]) -> Iterator[None]:
    """A client that does the same again and again."""
    ended = threading.Event()

    def loop() -> None:
        with psycopg.connect(library.url(), autocommit=True) as connection:
            while not ended.is_set():
                once(connection)

    client = threading.Thread(target=loop)
    client.start()
    try:
        yield
    finally:
        ended.set()
        client.join()


def suspected(library: Library) -> list[Finding]:
    """What a scan of two seconds suspects."""
    report = scan(targets({"dsn": [library.url()]}, {}), load(), Redactor(), 2.0)
    assert not [s for s in report.skipped if s.what == CHECK], report.skipped
    live = [d.finding for d in report.diagnoses]
    return [f for f in (*report.risks, *live) if f.check == CHECK]


def test_lazy_loading_is_suspected(counted: Library) -> None:
    """With the commands that prove it."""

    def page(connection: psycopg.Connection) -> None:
        for author, _ in connection.execute("SELECT id, name FROM author").fetchall():
            connection.execute("SELECT * FROM book WHERE author_id = %s", (author,))

    with running(counted, page):
        (one,) = suspected(counted)
    assert one.subject == "book(author_id) for each row of author"
    assert one.kind is Kind.RISK or one.explains
    assert "ALTER SYSTEM SET log_min_duration_statement = 0;" in one.fixes[0].commands


def test_eager_loading_is_not(counted: Library) -> None:
    """As many calls of one as of the other, and look-ups of pages of their own."""

    def page(connection: psycopg.Connection) -> None:
        keys = [row[0] for row in connection.execute("SELECT id, name FROM author").fetchall()]
        connection.execute("SELECT * FROM book WHERE author_id = ANY(%s)", (keys,))
        connection.execute("SELECT * FROM book WHERE id = %s", (keys[0],))

    with running(counted, page):
        assert not suspected(counted)


@pytest.mark.slow
@pytest.mark.parametrize("flags", [(), ("-S",)], ids=["tpcb", "select-only"])
def test_pgbench_is_not(counted: Library, flags: tuple[str, ...]) -> None:
    """Both of its usual loads."""
    program = counted.server.bindir / "pgbench"
    if not program.exists():
        pytest.skip("this PostgreSQL has no pgbench")
    command = [str(program), "-h", "127.0.0.1", "-p", str(counted.port), "-U", "postgres"]
    subprocess.run([*command, "-i", "-q", "postgres"], check=True, capture_output=True)
    load_of = [*command, "-n", "-c", "2", "-T", "6", *flags, "postgres"]
    with subprocess.Popen(load_of, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        assert not suspected(counted)
