"""A real RabbitMQ for the whole session, virtual hosts in it, and clients in threads."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx
import pika  # type: ignore[import-untyped]  # it has no types
import pika.exceptions  # type: ignore[import-untyped]  # likewise
import pytest

from scaledoctor.demo.servers.rabbitmq import RabbitServer, rabbitmq
from tests.servers import needs_servers

PATIENCE = 60.0

Channel = Any
"""Of pika."""


class _Over(Exception):  # noqa: N818  no error: the test ends
    """A consumer shall stop in the middle of its messages."""


Work = Callable[[Channel, threading.Event], None]
"""What a client does until the event is set."""


@dataclass(frozen=True)
class Broker:
    """A running broker and a way to set it up."""

    server: RabbitServer

    def put(self, path: str, body: dict[str, Any]) -> None:
        """Set something up, as an administrator would."""
        answer = httpx.put(f"{self.server.url()}/api/{path}", json=body)
        assert answer.status_code < 300, answer.text

    def get(self, path: str) -> Any:
        """What the management API says."""
        answer = httpx.get(f"{self.server.url()}/api/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def user(self, name: str, tags: str, *vhosts: str) -> str:
        """A user with these tags who may see these virtual hosts; the URL to look with."""
        self.put(f"users/{name}", {"password": name, "tags": tags})
        for vhost in vhosts:
            nothing = {"configure": "^$", "write": "^$", "read": "^$"}
            self.put(f"permissions/{vhost}/{name}", nothing)
        return self.server.url(name, name)

    def vhost(self, name: str) -> str:
        """A virtual host, and a user of the same name who sees it alone; its URL."""
        self.put(f"vhosts/{name}", {})
        self.put(f"permissions/{name}/guest", {"configure": ".*", "write": ".*", "read": ".*"})
        return self.user(name, "monitoring", name)

    def connect(self, vhost: str, name: str) -> Any:
        """A connection of pika's that tells its name."""
        return pika.BlockingConnection(
            pika.ConnectionParameters(
                "127.0.0.1",
                self.server.port,
                vhost,
                pika.PlainCredentials("guest", "guest"),
                client_properties={"connection_name": name},
            )
        )

    @contextmanager
    def channel(self, vhost: str, name: str = "setup") -> Iterator[Channel]:
        """A channel for the block."""
        connection = self.connect(vhost, name)
        try:
            yield connection.channel()
        finally:
            connection.close()

    @contextmanager
    def clients(self, vhost: str, **works: Work) -> Iterator[None]:
        """Threads that do this work until the block ends, each with one connection of its name."""
        stop = threading.Event()

        def run(name: str, work: Work) -> None:
            connection = self.connect(vhost, name.replace("_", "-"))
            try:
                work(connection.channel(), stop)
            finally:
                with suppress(pika.exceptions.AMQPError):
                    connection.close()

        threads = [threading.Thread(target=run, args=item, daemon=True) for item in works.items()]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join(20)

    def until(self, path: str, true: Callable[[Any], bool]) -> None:
        """Wait until the management API says something; its figures are late."""
        deadline = time.monotonic() + PATIENCE
        while not true(found := self.get(path)):
            assert time.monotonic() < deadline, json.dumps(found)[:2000]
            time.sleep(0.2)


def publish(channel: Channel, queue: str, count: int = 1, age: int = 0) -> None:
    """Messages with a timestamp, as some publishers set it; they seem to be so many seconds old."""
    for _ in range(count):
        properties = pika.BasicProperties(timestamp=int(time.time()) - age)
        channel.basic_publish("", queue, b"x" * 100, properties)


def publisher(queue: str, count: int, pause: float) -> Work:
    """So many messages at a time, then a pause."""

    def work(channel: Channel, stop: threading.Event) -> None:
        while not stop.is_set():
            publish(channel, queue, count)
            channel.connection.process_data_events(pause)

    return work


def consumer(queue: str, took: Callable[[Channel, int], None], prefetch: int = 10) -> Work:
    """Calls ``took`` with the channel and the delivery tag of each message."""

    def work(channel: Channel, stop: threading.Event) -> None:
        def deliver(_: Channel, how: Any, *__: object) -> None:
            if stop.is_set():
                raise _Over  # pika goes on as long as messages come
            took(channel, how.delivery_tag)

        if prefetch:
            channel.basic_qos(prefetch_count=prefetch)
        channel.basic_consume(queue, deliver)
        with suppress(_Over):
            while not stop.is_set():
                channel.connection.process_data_events(0.1)

    return work


def slowly(seconds: float) -> Callable[[Channel, int], None]:
    """Acknowledges after a time of work."""

    def took(channel: Channel, tag: int) -> None:
        time.sleep(seconds)
        channel.basic_ack(tag)

    return took


def never(channel: Channel, tag: int) -> None:
    """Does not acknowledge."""


def rejects(channel: Channel, tag: int) -> None:
    """Rejects for good."""
    time.sleep(0.1)
    channel.basic_nack(tag, requeue=False)


def requeues(channel: Channel, tag: int) -> None:
    """Puts it back."""
    time.sleep(0.01)
    channel.basic_nack(tag, requeue=True)


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """One broker for all tests: each has a virtual host of its own, and leaves no alarm."""
    with ExitStack() as stack:
        with needs_servers():
            server = stack.enter_context(rabbitmq())
        yield Broker(server)
