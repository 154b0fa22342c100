"""A real pooler under real clients, scanned as the command line does it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg

from scaledoctor.collect import collect
from scaledoctor.diagnosis.diagnose import diagnose
from scaledoctor.redact import Redactor
from scaledoctor.registry import load
from scaledoctor.report import Report
from scaledoctor.snapshot import Snapshot
from scaledoctor.targets.postgres import pgbouncer_target, postgres_target

REGISTRY = load()

Work = Callable[[psycopg.Connection], None]
"""One transaction, or a pause between two."""


def statement(sql: str, pause: float = 0.0) -> Work:
    """One statement in a transaction of its own, then a pause without a server."""

    def work(connection: psycopg.Connection) -> None:
        connection.execute(sql.encode())
        connection.commit()
        time.sleep(pause)

    return work


@contextmanager
def clients(count: int, dsn: str, work: Work, settle: float = 0.6) -> Iterator[None]:
    """So many threads that do this work over one connection each until the block ends.

    What goes wrong on the way is the fault's own; a lost connection is opened again.
    """
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set():
            with (
                suppress(psycopg.Error),
                psycopg.connect(dsn, prepare_threshold=None, connect_timeout=30) as connection,
            ):
                while not stop.is_set():
                    work(connection)
            stop.wait(0.1)

    threads = [threading.Thread(target=loop, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    time.sleep(settle)
    try:
        yield
    finally:
        stop.set()
        # Whoever waits for a server goes when the pooler does.
        until = time.monotonic() + 1.0
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))


def snapshot(console: str, postgres: str = "", window: float = 1.5) -> Snapshot:
    """What a scan of these two reads: never the host, whose other tenants are none of ours."""
    targets = [pgbouncer_target(console), *([postgres_target(postgres)] if postgres else [])]
    return collect(targets, REGISTRY, Redactor(), window)


def scan(console: str, postgres: str = "", window: float = 1.5) -> Report:
    """The report of that."""
    return diagnose(snapshot(console, postgres, window), REGISTRY)


def scan_postgres(dsn: str, window: float = 1.0) -> Report:
    """The report of a PostgreSQL alone."""
    return diagnose(collect([postgres_target(dsn)], REGISTRY, Redactor(), window), REGISTRY)
