"""Small web servers to balance, and clients that ask for them, each in a process of its own.

``python web.py serve PORT...`` and ``python web.py ask JSON`` are what the children run.
``/health`` has a status of its own: an application that fails is not a server that is down.
"""

import asyncio
import http.client
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Site:
    """How one port behaves: seconds per request, requests at a time, its answers' status."""

    delay: float = 0.0
    slots: float = 1e6
    status: float = 200
    health: float = 200
    busy: int = 0
    room: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def answer(self, path: str) -> int:
        """Do the work of one request; give its status."""
        if path.startswith("/-/set"):
            for name, value in parse_qsl(urlsplit(path).query):
                setattr(self, name, float(value))
            return 200
        if path == "/health":
            return int(self.health)
        async with self.room:
            await self.room.wait_for(lambda: self.busy < self.slots)
            self.busy += 1
        await asyncio.sleep(self.delay)
        async with self.room:
            self.busy -= 1
            self.room.notify_all()
        return int(self.status)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while request := await reader.readuntil(b"\r\n\r\n"):
                status = await self.answer(request.split(b" ", 2)[1].decode())
                writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: 2\r\n\r\nok".encode())
                await writer.drain()
                if b"\r\nconnection: close" in request.lower():
                    break
        writer.close()


async def serve(ports: list[int]) -> None:
    """Listen until this process is ended."""
    for port in ports:
        await asyncio.start_server(Site().serve, "127.0.0.1", port, backlog=512)
    print("ready", flush=True)  # noqa: T201  the parent waits for it
    await asyncio.Event().wait()


def ask(plan: dict[str, Any]) -> None:
    """Closed-loop clients for ``seconds``; a line with the number of answers by status."""
    end = time.monotonic() + plan["seconds"]
    seen: Counter[str] = Counter()

    def client(number: int) -> None:
        place = urlsplit(plan["urls"][number % len(plan["urls"])])
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=20)
        cookies = plan["cookies"] or [""]
        headers = {"Cookie": cookies[number % len(cookies)]}
        while time.monotonic() < end:
            try:
                connection.request("GET", place.path or "/", headers=headers)
                answer = connection.getresponse()
                answer.read()
                seen[str(answer.status)] += 1
            except (OSError, http.client.HTTPException) as error:
                seen[type(error).__name__] += 1
                connection.close()
            time.sleep(plan["think"])

    threads = [threading.Thread(target=client, args=(i,)) for i in range(plan["clients"])]
    for thread in threads:
        thread.start()
    print("ready", flush=True)  # noqa: T201  the parent waits for it
    for thread in threads:
        thread.join()
    print(json.dumps(seen), flush=True)  # noqa: T201  the result


def change(port: int, **how: float) -> None:
    """Change how the server on that port behaves."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    words = "&".join(f"{name}={value}" for name, value in how.items())
    connection.request("GET", f"/-/set?{words}")
    assert connection.getresponse().status == 200
    connection.close()


@dataclass(frozen=True)
class Sites:
    """Running web servers by their ports."""

    ports: tuple[int, ...]

    def set(self, number: int, **how: float) -> None:
        """Change how the server of that number behaves, from 0."""
        change(self.ports[number], **how)

    def lines(self, *more: str, check: str = "check inter 100ms") -> list[str]:
        """A server line for each, s1 first, with ``more`` of its own at its end."""
        own = [*more, *[""] * len(self.ports)]
        return [
            f"server s{i + 1} 127.0.0.1:{port} {check} {own[i]}".rstrip()
            for i, port in enumerate(self.ports)
        ]


@contextmanager
def sites(folder: Path, count: int) -> Iterator[Sites]:
    """So many web servers, in one process."""
    from scaledoctor.demo.servers.child import child, free_port

    ports = tuple(free_port() for _ in range(count))
    place = folder / "sites"
    place.mkdir()
    command = [sys.executable, __file__, "serve", *map(str, ports)]
    with child(command, folder=place, ready=lambda: "ready" in (place / "log").read_text()):
        yield Sites(ports)


@contextmanager
def asking(
    folder: Path,
    *urls: str,
    clients: int = 8,
    seconds: float = 8.0,
    think: float = 0.01,
    cookies: tuple[str, ...] = (),
) -> Iterator[None]:
    """Clients in a process of their own while the block runs, ``seconds`` at most."""
    from scaledoctor.demo.servers.child import child

    plan = {"urls": urls, "clients": clients, "seconds": seconds, "think": think,
            "cookies": cookies}  # fmt: skip
    place = folder / "asking"
    place.mkdir()
    command = [sys.executable, __file__, "ask", json.dumps(plan)]
    with child(command, folder=place, ready=lambda: "ready" in (place / "log").read_text()):
        yield


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve([int(port) for port in sys.argv[2:]]))
    else:
        ask(json.loads(sys.argv[2]))
