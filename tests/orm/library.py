"""A library in a real PostgreSQL that logs every statement, and what its log tells."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import wraps
from typing import ParamSpec
from uuid import uuid4

import psycopg

from scaledoctor.demo.servers import PostgresServer
from scaledoctor.logs.nplusone.report import Repeated, RepeatedQueries, repeated
from scaledoctor.logs.sql.chunks import analyze_chunk
from scaledoctor.logs.sql.recognise import recognise
from scaledoctor.redact import Redactor

LOGGING: Mapping[str, str | int] = {
    "log_min_duration_statement": 0,
    "log_line_prefix": "%m [%p] %c %q%u@%d/%a ",
    "log_parameter_max_length": -1,
}
"""What the log must have to tell requests apart."""

AUTHORS, BOOKS = 12, 7
"""Authors, and books of each."""

SCHEMA = f"""
CREATE TABLE author (id int PRIMARY KEY, name text);
CREATE TABLE book (id int PRIMARY KEY, author_id int REFERENCES author, title text);
CREATE INDEX ON book (author_id);
CREATE TABLE event (id int PRIMARY KEY, kind text);
INSERT INTO author SELECT n, 'author ' || n FROM generate_series(1, {AUTHORS}) n;
INSERT INTO book SELECT n, (n - 1) / {BOOKS} + 1, 'book ' || n
FROM generate_series(1, {AUTHORS * BOOKS}) n;
"""


@dataclass
class Library:
    """The server; ``port`` is where clients connect, its own or its pooler's."""

    server: PostgresServer
    port: int
    told: RepeatedQueries = field(init=False)

    @property
    def pooled(self) -> bool:
        """Whether a pooler stands between."""
        return self.port != self.server.port

    def url(self, scheme: str = "postgresql", application: str = "") -> str:
        """Where an ORM connects."""
        query = f"?application_name={application}" if application else ""
        return f"{scheme}://postgres@127.0.0.1:{self.port}/postgres{query}"

    def _mark(self) -> int:
        """Where the log ends now."""
        mark = uuid4().hex
        with psycopg.connect(self.server.dsn(), autocommit=True) as connection:
            connection.execute(f"SELECT '{mark}'".encode())
        until = time.monotonic() + 20
        while (at := self.server.log.read_bytes().find(mark.encode())) < 0:
            assert time.monotonic() < until, "the server does not log"
            time.sleep(0.02)
        return self.server.log.read_bytes().index(b"\n", at) + 1

    @contextmanager
    def logged(self) -> Iterator[None]:
        """Put what the block's statements show into ``told``."""
        begin = self._mark()
        yield
        end = self._mark()
        block = self.server.log.read_bytes()[begin:end]
        partial = analyze_chunk(block, recognise(block.splitlines()), literals=True)
        self.told = repeated(partial.runs, Redactor(), live=False)

    @property
    def only(self) -> Repeated:
        """The one thing that was found."""
        assert len(self.told.found) == 1, self.told.found
        return self.told.found[0]


P = ParamSpec("P")


def unhurried(test: Callable[P, None]) -> Callable[P, None]:
    """Try a test again whose requests a busy machine may cut: 200 ms of silence end one."""

    @wraps(test)
    def again(*args: P.args, **kwargs: P.kwargs) -> None:
        for _ in range(4):
            with suppress(AssertionError):
                return test(*args, **kwargs)
        return test(*args, **kwargs)

    return again
