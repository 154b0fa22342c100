"""A tiny web server on loopback whose pages behave as real ones do, well or badly."""

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from scaledoctor.demo.servers.child import free_port


@dataclass(slots=True)
class Asked:
    """One request as the server saw it: when, the connection's client port, and its headers."""

    at: float
    port: int
    method: str
    path: str
    headers: dict[str, str]


@dataclass(slots=True)
class Answer:
    """What a page answers; without a status the connection is cut."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"hello"
    wait: float = 0.0


@dataclass(slots=True)
class Site:
    """A running server: its port and everything that it was asked, in order."""

    port: int
    asked: list[Asked]

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


Page = Callable[[Asked, int], Answer]
"""Called with the request and its number, from 1 on."""


@contextmanager
def site(page: Page) -> Iterator[Site]:
    """A threaded HTTP/1.1 server that keeps connections unless a page says otherwise."""
    asked: list[Asked] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one write for headers and body: no 40 ms of Nagle

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            port: int = self.client_address[1]
            asked.append(Asked(time.monotonic(), port, self.command, self.path, headers))
            answer = page(asked[-1], len(asked))
            time.sleep(answer.wait)
            if not answer.status:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(answer.body)
                self.wfile.flush()

        do_POST = do_HEAD = do_GET  # noqa: N815  http.server calls them so

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its own name
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Site(server.server_address[1], asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
