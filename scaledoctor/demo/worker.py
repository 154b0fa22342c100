"""The processes of faults: ``python worker.py KIND JSON``, ended from outside.

Each does by real means what a broken program does, and ends by itself after two minutes.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import psycopg

LIFETIME = 120.0
END = time.monotonic() + LIFETIME


def alive() -> bool:
    """Whether this process still has time."""
    return time.monotonic() < END


def ready() -> None:
    """Tell the parent to go on."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def together(loop: Callable[[], None], threads: int) -> None:
    """Run a loop in several threads; return when this process's time is up."""
    for _ in range(threads):
        threading.Thread(target=loop, daemon=True).start()
    ready()
    while alive():
        time.sleep(1.0)


def main(kinds: Mapping[str, Callable[..., None]], arguments: list[str]) -> None:
    """Run one kind with its plan."""
    kinds[arguments[0]](**json.loads(arguments[1]))


def leak(dsn: str, threads: int, pause: float) -> None:
    """Open connections, use each once and forget it; when refused, try again."""
    kept: list[psycopg.Connection[Any]] = []

    def loop() -> None:
        while alive():
            try:
                connection = psycopg.connect(dsn, autocommit=True, connect_timeout=2)
                kept.append(connection)
                connection.execute("SELECT 1")
            except psycopg.Error:
                pass  # a service under load has the next request at once
            time.sleep(pause)

    together(loop, threads)


def hold(dsn: str, queries: list[str]) -> None:
    """Run statements in a transaction, then do nothing and keep it open."""
    with psycopg.connect(dsn) as connection:
        for query in queries:
            connection.execute(query.encode())
        ready()
        while alive():
            time.sleep(1.0)


def consume(port: int, stream: str, group: str, dsn: str, update: str, threads: int,
            seconds: float) -> None:  # fmt: skip
    """Take jobs from a stream, as many at once as there are threads; SIGTERM ends the last ones."""
    import redis

    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: ended.set())
    queue: Any = redis.Redis(port=port)
    # Threads take their names by which they are known; those of another process differ.
    numbers = iter(range(threads))

    def loop() -> None:
        name = f"{group}-{os.getpid()}-{next(numbers)}"
        with psycopg.connect(dsn, autocommit=True) as connection:
            while not ended.is_set():
                found = queue.xreadgroup(group, name, {stream: ">"}, count=1, block=200)
                for key, fields in (entry for _, entries in found for entry in entries):
                    time.sleep(seconds)  # the mail server
                    connection.execute(update.encode(), (int(fields[b"order"]),))
                    queue.xack(stream, group, key)
        queue.xgroup_delconsumer(stream, group, name)

    crew = [threading.Thread(target=loop, daemon=True) for _ in range(threads)]
    for one in crew:
        one.start()
    ready()
    while alive() and not ended.wait(1.0):
        pass
    ended.set()
    for one in crew:
        one.join(2 * seconds + 1)


def run(dsn: str, queries: list[str]) -> None:
    """Run statements in one transaction; ready before the last, which may take its time."""
    with psycopg.connect(dsn) as connection:
        for query in queries[:-1]:
            connection.execute(query.encode())
        ready()
        connection.execute(queries[-1].encode())


if __name__ == "__main__":
    main({f.__name__: f for f in (leak, hold, consume, run)}, sys.argv[1:])
