"""A MariaDB for the tests, and scans of it as ``--mysql`` does."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pymysql

from scaledoctor.collect import collect
from scaledoctor.demo.servers import MariadbServer
from scaledoctor.diagnosis import diagnose
from scaledoctor.redact import Redactor
from scaledoctor.report import Report
from scaledoctor.snapshot import Record
from scaledoctor.targets import targets
from tests.sources.pg import registry

PASSWORD = "s3cret-of-ours"  # noqa: S105  of a server that lives as long as the test

SCHEMA = (
    "CREATE DATABASE shop",
    "CREATE TABLE shop.stock (id int PRIMARY KEY, n int)",
    "INSERT INTO shop.stock VALUES (1, 100), (2, 100)",
    "CREATE TABLE shop.orders (id int PRIMARY KEY AUTO_INCREMENT, customer int, amount int, "
    "note varchar(200))",
    "INSERT INTO shop.orders (customer, amount, note) "
    "SELECT seq % 2000, seq, repeat('x', 100) FROM shop.seq_1_to_60000",
)


def connect(server: MariadbServer, user: str = "root", **more: Any) -> Any:
    """A client's connection."""
    return pymysql.connect(
        host="127.0.0.1", port=server.port, user=user, **{"autocommit": True, **more}
    )


def run(server: MariadbServer, *statements: str) -> None:
    """Execute statements as root."""
    with connect(server) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def record(url: str, window: float = 0.0) -> Record:
    """What a scan read; whether it was let in or not."""
    (found,) = collect(targets({"mysql": [url]}, {})[1:], registry(), Redactor(), window).records
    assert found.failures == ()
    return found


def report(url: str, window: float) -> Report:
    """A scan's whole report, without the host."""
    snapshot = collect(targets({"mysql": [url]}, {})[1:], registry(), Redactor(), window)
    found = diagnose(snapshot, registry())
    assert not found.errored, found.errored
    return found


@contextmanager
def clients(server: MariadbServer, count: int, statement: str, **more: Any) -> Iterator[None]:
    """Clients that run a statement again and again until the block ends."""
    ended = threading.Event()

    def loop() -> None:
        with suppress(pymysql.Error), connect(server, **more) as connection:
            while not ended.is_set():
                with connection.cursor() as cursor, suppress(pymysql.err.OperationalError):
                    cursor.execute(statement)

    threads = [threading.Thread(target=loop, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join(10)
