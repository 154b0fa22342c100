"""What the tests of the PostgreSQL source share: scans as users get them, and broken servers."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from typing import TypeVar

import psycopg

from scaledoctor.collect import collect
from scaledoctor.demo.servers import PostgresServer
from scaledoctor.redact import Redactor
from scaledoctor.registry import Registry, load
from scaledoctor.snapshot import Record, Snapshot
from scaledoctor.targets import targets
from scaledoctor.window import Window

T = TypeVar("T")

WINDOW = 0.6
"""Seconds: two samples of what is sampled, and both edges."""

registry: Callable[[], Registry] = cache(load)


def look(
    dsn: str,
    window: float = WINDOW,
    *,
    show_literals: bool = False,
    act: Callable[[], object] | None = None,
    tick: int = 0,
) -> Snapshot:
    """Scan one database, without the host, as ``--dsn`` does.

    ``act`` happens once, right before the sample number ``tick``, the scan standing still.
    """
    found = targets({"dsn": [dsn]}, {})[1:]
    ticks = count()

    def observer(target: str, doing: str, share: float) -> None:
        if doing == "sampling" and next(ticks) == tick and act:
            act()

    return collect(found, registry(), Redactor(show_literals), window, observer)


def record(
    dsn: str, window: float = WINDOW, *, act: Callable[[], object] | None = None, tick: int = 0
) -> Record:
    """What a scan of one database read, once it was let in and nothing crashed."""
    (found,) = look(dsn, window, act=act, tick=tick).records
    assert found.reach.ok, found.reach
    assert found.failures == ()
    return found


def readings(found: Record, fact: type[T]) -> Window[T]:
    """All readings of a fact."""
    assert fact.__name__ in found.samples, found.skips
    return Window(found.samples[fact.__name__])


def last(found: Record, fact: type[T]) -> T:
    """The last reading of a fact."""
    return readings(found, fact).last


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for something that a server does in its own time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it has not happened in time"
        time.sleep(0.02)


def run(dsn: str, *statements: str) -> None:
    """Execute statements, each in its own transaction."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@contextmanager
def session(dsn: str, *statements: str) -> Iterator[int]:
    """A session that has run the statements and leaves its transaction open; its pid."""
    with psycopg.connect(dsn) as connection:
        for statement in statements:
            connection.execute(statement.encode())
        yield connection.info.backend_pid
        connection.rollback()


@contextmanager
def running(
    server: PostgresServer, dsn: str, statement: str, *, waits: str = "Timeout"
) -> Iterator[int]:
    """A session in the midst of a statement that waits for a time-out or a Lock; its pid."""
    connection = psycopg.connect(dsn)
    pid = connection.info.backend_pid

    def work() -> None:
        with suppress(psycopg.Error):
            connection.execute(statement.encode())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        until(lambda: wait_of(server, pid) == waits)
        yield pid
    finally:
        run(server.dsn(), f"SELECT pg_terminate_backend({pid})")
        thread.join(10)
        connection.close()


def wait_of(server: PostgresServer, pid: int) -> str:
    """The type of event that a session waits for."""
    with psycopg.connect(server.dsn()) as connection:
        query = "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s"
        row = connection.execute(query, [pid]).fetchone()
    return str(row[0]) if row else ""


@contextmanager
def listener(answer: bytes | None) -> Iterator[int]:
    """A loopback port that answers with these bytes and hangs up; None: that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server, suppress(OSError):
        thread = threading.Thread(target=_accept, args=(server, answer), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def _accept(server: socket.socket, answer: bytes | None) -> None:
    clients: list[socket.socket] = []
    with suppress(OSError):
        while True:
            client, _ = server.accept()
            clients.append(client)
            if answer is not None:
                client.recv(1024)
                client.sendall(answer)
                client.close()
    for client in clients:
        client.close()


@contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[None]:
    """Do something again and again while the block runs."""
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            act()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(10)
