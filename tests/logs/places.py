"""Real nginx and HAProxy before a small application, writing real logs under a small load."""

import http.client
import http.server
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from scaledoctor.demo.servers.child import accepts, child, free_port, program
from scaledoctor.demo.servers.workspace import workspace

TIMED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent" rt=$request_time urt="$upstream_response_time" '
    'ua="$upstream_addr" us="$upstream_status"'
)
BARE = (
    '$remote_addr [$time_local] "$request" $status $request_time '
    "$upstream_addr $upstream_status $upstream_response_time"
)
INGRESS = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent" $request_length $request_time [default-shop-80] [] '
    "$upstream_addr $upstream_response_length $upstream_response_time $upstream_status $request_id"
)
JSON = (
    '{"time_iso8601":"$time_iso8601","request_method":"$request_method",'
    '"request_uri":"$request_uri","status":$status,"request_time":$request_time,'
    '"upstream_addr":"$upstream_addr","upstream_status":"$upstream_status",'
    '"upstream_response_time":"$upstream_response_time","agent":"$http_user_agent"}'
)

NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    {formats}
    upstream app {{ {servers} }}
    server {{
        listen 127.0.0.1:{port};
        {logs}
        location / {{
            proxy_pass http://app;
            proxy_next_upstream error timeout http_502 non_idempotent;
        }}
        location /own/ {{ return 503; }}
    }}
}}
"""


class _Application(http.server.BaseHTTPRequestHandler):
    """Answers after ``wait=SECONDS`` with ``status=NUMBER`` of its query; 200 at once without."""

    protocol_version = "HTTP/1.1"
    delay = 0.0

    def do_GET(self) -> None:
        query = dict(parse_qsl(self.path.partition("?")[2]))
        time.sleep(float(query.get("wait", 0)) + self.delay)
        self.send_response(int(query.get("status", 200)))
        self.send_header("Content-Length", "2")
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(b"ok")

    do_POST = do_GET  # noqa: N815  http.server calls it so

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its own name
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that the balancer has cut is no news."""


@contextmanager
def application(delay: float = 0.0) -> Iterator[int]:
    """A threaded HTTP server on a loopback port; ``delay`` seconds more for each answer."""
    handler = type("Handler", (_Application,), {"delay": delay})
    server = _Server(("127.0.0.1", free_port()), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running nginx: its port, and its access logs by the name of their format."""

    port: int
    logs: Mapping[str, Path]


@contextmanager
def nginx(ports: Sequence[int], formats: Mapping[str, str] | None = None) -> Iterator[Nginx]:
    """nginx before the applications on `ports`; all `formats` are logged at once."""
    binary = program("nginx", install_line="apt-get install nginx-light")
    wanted = formats or {"timed": TIMED}
    with workspace("nginx") as folder:
        port = free_port()
        logs = {name: folder / f"{name}.log" for name in wanted}
        text = NGINX.format(
            folder=folder,
            port=port,
            formats=" ".join(
                f"log_format {name} {'escape=json ' if name == 'json' else ''}'{form}';"
                for name, form in wanted.items()
            ),
            servers=" ".join(f"server 127.0.0.1:{p} max_fails=0;" for p in ports),
            logs=" ".join(f"access_log {path} {name};" for name, path in logs.items()),
        )
        (folder / "nginx.conf").write_text(text)
        with child(
            [binary, "-p", folder, "-c", folder / "nginx.conf"],
            folder=folder,
            ready=lambda: accepts(port),
        ):
            yield Nginx(port, logs)


def ask(port: int, path: str, method: str = "GET", patience: float = 10.0) -> int:
    """One request; 0 when the client gave up."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
    try:
        connection.request(method, path, headers={"User-Agent": 'load \x1b[31m"quoted"'})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def load(port: int, paths: Sequence[str], clients: int = 4) -> list[int]:
    """Ask for every path once, a few at a time."""
    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(lambda path: ask(port, path), paths))
