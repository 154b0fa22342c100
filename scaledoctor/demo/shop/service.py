"""The shop's HTTP service: ``python -m scaledoctor.demo.shop.service --config JSON``.

``GET /health``, ``GET /ready``, ``GET /product/ID``, ``GET /product/ID/page``,
``GET /customer/ID/orders``, ``GET /orders`` and ``POST /order?customer=ID&product=ID``, all
answered in JSON. When the database does not answer the reply is 503 with the reason in one line; of
the two for health checks ``/ready`` asks it too.
"""

import argparse
import json
import logging
import signal
import sys
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import BoundedSemaphore
from typing import ClassVar
from urllib.parse import urlsplit

import psycopg
import redis
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout

from scaledoctor.demo.shop.config import ServiceConfig
from scaledoctor.demo.shop.queries import CHECKS, NotFound, answer
from scaledoctor.demo.shop.store import Store

Pool = ConnectionPool[psycopg.Connection[TupleRow]]
Reply = tuple[int, dict[str, object]]


class ShopServer(ThreadingHTTPServer):
    """The listening socket, with the pool that its handlers share."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, config: ServiceConfig, pool: Pool) -> None:
        self.config = config
        self.pool = pool
        self.store = Store.of(config.cache, config.queue, config.names.jobs)
        self.worker: AbstractContextManager[object] = (
            nullcontext() if config.workers is None else BoundedSemaphore(config.workers)
        )
        super().__init__(("127.0.0.1", config.port), ShopHandler)


class ShopHandler(BaseHTTPRequestHandler):
    """One keep-alive connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30  # seconds that an idle client keeps its thread
    reasons: ClassVar[dict[int, str]] = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}

    def do_GET(self) -> None:
        """Answer a request."""
        self._send(*self._reply())

    do_POST = do_GET  # noqa: N815  http.server's name; no route has a body

    def _reply(self) -> Reply:
        assert isinstance(self.server, ShopServer)
        if self.path in CHECKS:  # a balancer's checks neither queue for a worker nor are late
            return self._answer(self.server)
        with self.server.worker:
            time.sleep(self.server.config.work_ms / 1_000 + _late(self.server.config))
            return self._answer(self.server)

    def _answer(self, server: ShopServer) -> Reply:
        config = server.config
        try:
            url = urlsplit(self.path)
            return 200, answer(server.pool, server.store, config.names, self.command, url)
        except NotFound as error:
            return 404, {"error": str(error)}
        except PoolTimeout:
            return 503, {"error": f"no connection from the pool within {config.pool_timeout:g} s"}
        except (psycopg.Error, redis.RedisError) as error:
            return 503, {"error": " ".join(str(error).split())[:200]}

    def _send(self, status: int, content: dict[str, object]) -> None:
        body = json.dumps(content).encode()
        head = (
            f"HTTP/1.1 {status} {self.reasons[status]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            # In two writes, a delayed acknowledgement would add 40 ms to each reply.
            self.wfile.write(head.encode() + body)
        except OSError:  # the client gave up waiting
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server's name
        """Stay silent: a line for each request would cost more than the request."""


def _late(config: ServiceConfig) -> float:
    """Seconds by which a reply is late now."""
    with suppress(FileNotFoundError):
        return float(Path(config.late).read_text()) / 1_000
    return 0.0


def serve(config: ServiceConfig) -> None:
    """Serve until SIGTERM."""
    options = {
        "application_name": config.application_name,
        "autocommit": True,
        "prepare_threshold": None,  # so that a pooler in transaction mode can stand in between
        "connect_timeout": 2,
    }
    pool: Pool = ConnectionPool(
        config.dsn,
        kwargs=options,
        min_size=config.pool_min,
        max_size=config.pool_max,
        timeout=config.pool_timeout,
        max_lifetime=config.max_lifetime,
        # Give up early: the pool's back-off doubles, and the next request starts anew anyway.
        reconnect_timeout=2,
        open=True,
    )
    try:
        with ShopServer(config, pool) as server:
            server.serve_forever(poll_interval=0.1)
    finally:
        pool.close(timeout=0.5)


def main(arguments: list[str]) -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description="The demo shop's HTTP service.")
    parser.add_argument("--config", required=True, help="a ServiceConfig as JSON")
    config = ServiceConfig.from_json(parser.parse_args(arguments).config)
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # clients are told of each failure
    serve(config)


if __name__ == "__main__":
    main(sys.argv[1:])
