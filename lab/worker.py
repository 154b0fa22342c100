"""The processes of the lab's faults and controls: ``python worker.py KIND JSON``."""

import queue
import random
import sys
import threading
import time
from typing import Any

import psycopg
import redis

from scaledoctor.demo.worker import alive, main, ready, together


def churn(dsn: str, query: str, threads: int, pause: float) -> None:
    """Connect for every single query, in several threads."""

    def loop() -> None:
        while alive():
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute(query.encode())
            time.sleep(pause)

    together(loop, threads)


def deadlock(dsn: str, update: str, threads: int) -> None:
    """Update the same two rows in opposite order, half of the threads each way."""
    orders = queue.SimpleQueue[tuple[int, int]]()
    for number in range(threads):
        orders.put((1, 2) if number % 2 else (2, 1))

    def loop() -> None:
        keys = orders.get()
        with psycopg.connect(dsn) as connection:
            while alive():
                try:
                    for key in keys:
                        connection.execute(update.encode(), (key,))
                        time.sleep(0.05)
                    connection.commit()
                except psycopg.errors.DeadlockDetected:
                    connection.rollback()

    together(loop, threads)


def hot(dsn: str, update: str, threads: int, hold: float) -> None:
    """Update one row, work outside the database with the transaction open, commit; and again."""

    def loop() -> None:
        with psycopg.connect(dsn) as connection:
            while alive():
                connection.execute(update.encode(), (1,))
                time.sleep(hold)
                connection.commit()

    together(loop, threads)


def unbounded(dsn: str, update: str, rows: int, pause: float) -> None:
    """Do an update each ``pause`` on a free connection, or on a new one: a pool without a limit."""
    free: list[psycopg.Connection[Any]] = []

    def once(key: int) -> None:
        try:
            connection = free.pop() if free else psycopg.connect(dsn, autocommit=True)
            connection.execute(update.encode(), (key,))
        except psycopg.Error:
            return  # refused, or the server stops: this request is lost
        free.append(connection)

    ready()
    while alive():
        key = random.randint(1, rows)
        threading.Thread(target=once, args=(key,), daemon=True).start()
        time.sleep(pause)


def busy(dsn: str, query: str, threads: int) -> None:
    """Run one statement after the other, in several threads; when refused, try again."""

    def loop() -> None:
        while alive():
            try:
                with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
                    while alive():
                        connection.execute(query.encode())
            except psycopg.Error:
                time.sleep(0.2)

    together(loop, threads)


def chatty(dsn: str, queries: list[str], rows: int, threads: int, pause: float) -> None:
    """Short transactions of several statements with a pause between: healthy, if not elegant."""

    def loop() -> None:
        with psycopg.connect(dsn) as connection:
            while alive():
                key = random.randint(1, rows)
                for query in queries:
                    connection.execute(query.encode(), (key,))
                    time.sleep(pause)
                connection.commit()
                time.sleep(pause)

    together(loop, threads)


def batch(dsn: str, update: str, rows: int, step: int, pause: float) -> None:
    """Work through a table in chunks, each committed."""

    def loop() -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            while alive():
                for start in range(1, rows, step):
                    connection.execute(update.encode(), (start, start + step - 1))
                    time.sleep(pause)

    together(loop, 1)


def flush(port: int, pause: float) -> None:
    """Empty a Redis again and again."""

    def loop() -> None:
        with redis.Redis(port=port) as cache:
            while alive():
                cache.flushall()
                time.sleep(pause)

    together(loop, 1)


def clutter(port: int, size: int, pause: float) -> None:
    """Put values into a Redis that nobody asks for."""

    def loop() -> None:
        with redis.Redis(port=port) as cache:
            number = 0
            while alive():
                cache.set(f"clutter:{number}", b"x" * size, ex=600)
                number += 1
                time.sleep(pause)

    together(loop, 1)


KINDS = (churn, deadlock, hot, unbounded, busy, chatty, batch, flush, clutter)

if __name__ == "__main__":
    kinds = {f.__name__: f for f in KINDS}
    main(kinds, sys.argv[1:])
