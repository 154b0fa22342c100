"""dramatiq: numbers as it gives them itself, and faults of its real workers."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker

from scaledoctor.demo.servers.child import Child
from tests.queues.work import every, first, program, queue, readings, record, report, until

pytestmark = [pytest.mark.live, pytest.mark.slow]  # real workers need real seconds

WORKER = """
import sys, time, dramatiq
from tests.queues import apps
worker = dramatiq.Worker(apps.broker, worker_threads=int(sys.argv[1]))
worker.start()
time.sleep(600)
"""


@pytest.fixture
def broker(url: str) -> Iterator[RedisBroker]:
    """A producer of its own."""
    made: Any = RedisBroker  # only half of it has hints
    producer = made(url=url)
    producer.declare_queue("default")
    yield producer
    producer.close()


@contextmanager
def worker(r: Any, url: str, folder: Path, threads: int = 2) -> Iterator[Child]:
    """A worker in one process, once it has a heartbeat."""
    before = r.zcard("dramatiq:__heartbeats__")

    def ready() -> bool:
        return bool(r.zcard("dramatiq:__heartbeats__") > before)

    with program(WORKER, str(threads), url=url, folder=folder / "worker", ready=ready) as one:
        yield one


def put(broker: RedisBroker, actor: str, *args: object, delay: int | None = None) -> None:
    """Send one message, as an application does."""
    broker.enqueue(
        dramatiq.Message(queue_name="default", actor_name=actor, args=args, kwargs={}, options={}),
        delay=delay,
    )


def age(r: Any, seconds: float) -> None:
    """Let every message wait for some time already."""
    past = int((time.time() - seconds) * 1000)
    for key, text in r.hgetall("dramatiq:default.msgs").items():
        message = dramatiq.Message.decode(text).copy(message_timestamp=past)
        r.hset("dramatiq:default.msgs", key, message.encode())


def test_the_numbers_are_those_of_dramatiq(
    r: Any, url: str, broker: RedisBroker, tmp_path: Path
) -> None:
    """Ready, oldest, taken, delayed, dead."""
    with worker(r, url, tmp_path):
        put(broker, "dramatiq_fail")
        until(lambda: r.zcard("dramatiq:default.XQ") == 1)
        for _ in range(30):
            put(broker, "dramatiq_nap", 60)
        put(broker, "dramatiq_nap", 60, delay=500_000)
        until(lambda: r.llen("dramatiq:default") < 30)
        found = queue(url, "dramatiq default", 1.0)
        taken = sum(r.scard(key) for key in r.keys("dramatiq:__acks__.*.default"))
        head = r.hget("dramatiq:default.msgs", r.lindex("dramatiq:default", 0))
        stamp = dramatiq.Message.decode(head).message_timestamp / 1000
        assert found.ready == r.llen("dramatiq:default") == broker.do_qsize("default") - taken - 1
        assert found.oldest == pytest.approx(time.time() - stamp, abs=2.0)
        assert (found.in_flight, found.consumers) == (taken, 1)
        assert (found.dead, found.scheduled, found.stuck) == (1, 1, 0)


def test_a_producer_is_no_worker(r: Any, url: str, broker: RedisBroker) -> None:
    """It has a heartbeat too: the first finding is that nobody works."""
    for _ in range(3):
        put(broker, "dramatiq_nap", 1)
    age(r, 90)
    assert r.zcard("dramatiq:__heartbeats__") == 1
    finding = first(url, 1.0)
    assert (finding.check, finding.subject) == ("queue.no-workers", "dramatiq default")


def test_too_few_workers(r: Any, url: str, broker: RedisBroker, tmp_path: Path) -> None:
    """Fifty messages a second come, two threads do less than twenty."""
    for _ in range(700):
        put(broker, "dramatiq_nap", 0.1)
    with worker(r, url, tmp_path), every(0.02, lambda: put(broker, "dramatiq_nap", 0.1)):
        finding = first(url, 10.0)
    assert (finding.check, finding.subject) == ("queue.backlog", "dramatiq default")
    assert "never drains" in finding.summary


def test_a_burst_that_drains_is_healthy(
    r: Any, url: str, broker: RedisBroker, tmp_path: Path
) -> None:
    """Two hundred short messages at once."""
    with worker(r, url, tmp_path):
        for _ in range(200):
            put(broker, "dramatiq_nap", 0.02)
        found = report(url, 5.0)
    assert found.diagnoses == ()
    assert found.verdict.status.value == "healthy"


def test_a_killed_worker_leaves_its_messages(
    r: Any, url: str, broker: RedisBroker, tmp_path: Path
) -> None:
    """Its heartbeat gets old, and what it had taken is in nobody's hands."""
    with worker(r, url, tmp_path) as one:
        for _ in range(4):
            put(broker, "dramatiq_nap", 60)
        until(lambda: not r.llen("dramatiq:default"))
        os.kill(one.pid, signal.SIGKILL)
    for member, at in r.zrange("dramatiq:__heartbeats__", 0, -1, withscores=True):
        r.zadd("dramatiq:__heartbeats__", {member: at - 61_000})  # a minute later
    finding = first(url, 1.0)
    assert (finding.check, finding.subject) == ("queue.stuck-in-flight", "dramatiq default")


def test_no_message_is_kept(r: Any, url: str, broker: RedisBroker) -> None:
    """Arguments pass through us, and nothing of them stays."""
    put(broker, "dramatiq_nap", "a secret of the shop")
    found = record(url)
    assert readings(found)[0].queues[0].oldest is not None
    assert "secret" not in repr(found)
