"""Celery: kombu's own counts, workers that are only heard, and faults of real workers."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery  # type: ignore[import-untyped]  # has no hints

from scaledoctor.demo.servers.child import Child
from tests.queues.work import every, first, program, queue, report, until

pytestmark = [pytest.mark.live, pytest.mark.slow]  # real workers need real seconds

WORKER = "from celery.__main__ import main; main()"
TASK = "tests.queues.apps.celery_nap"


@pytest.fixture
def app(url: str) -> Iterator[Celery]:
    """A producer on the same broker."""
    with Celery("producer", broker=url, set_as_current=False) as producer:
        producer.conf.task_ignore_result = True
        yield producer


@contextmanager
def worker(
    r: Any,
    url: str,
    folder: Path,
    queues: str = "celery",
    name: str = "one",
    slots: int = 2,
) -> Iterator[Child]:
    """A worker in one process with threads, once it answers remote control."""
    words = ("-A", "tests.queues.apps:celery", "worker", "-P", "threads", "-c", str(slots),
             "-Q", queues, "-n", f"{name}@here", "--without-mingle")  # fmt: skip

    def ready() -> bool:
        return any(name.encode() in m for m in r.smembers("_kombu.binding.celery.pidbox"))

    with program(WORKER, *words, url=url, folder=folder / name, ready=ready) as one:
        yield one


def put(app: Celery, count: int, seconds: float, **options: Any) -> None:
    """Send tasks, as an application does."""
    for _ in range(count):
        app.send_task(TASK, (seconds,), **options)


def declared(app: Celery, name: str) -> int:
    """What kombu itself counts in a queue, all priorities together."""
    with app.connection_for_read() as connection:
        found = connection.default_channel.queue_declare(name, passive=True)
    return int(found.message_count)


def test_the_depth_is_that_of_kombu(r: Any, url: str, app: Celery) -> None:
    """With priorities, in several queues; remote control and events are no queues."""
    put(app, 7, 1.0)
    put(app, 3, 1.0, priority=6)
    put(app, 2, 1.0, queue="mail", priority=9)
    assert queue(url, "celery celery").ready == declared(app, "celery") == 10
    assert queue(url, "celery mail").ready == declared(app, "mail") == 2


def test_workers_are_heard(r: Any, url: str, app: Celery, tmp_path: Path) -> None:
    """Alive, tasks that run, tasks in their hands, those with a time, those to be tried again."""
    with worker(r, url, tmp_path):
        put(app, 2, 30.0)
        until(lambda: not r.llen("celery"))
        put(app, 3, 0.1, countdown=500)
        until(lambda: r.hlen("unacked") == 3)
        put(app, 20, 0.1)
        until(lambda: r.hlen("unacked") >= 8 and r.llen("celery") + r.hlen("unacked") == 23)
        found = queue(url, "celery celery", 6.0)
        running = app.control.inspect(timeout=3).active()
        assert found.ready == declared(app, "celery")
        assert (found.consumers, found.in_flight) == (1, len(running["one@here"]))
        assert (found.in_flight, found.scheduled, found.reserved) == (2, 3, r.hlen("unacked") - 5)
        assert found.stuck == 0
        assert found.held is not None
        assert 0 < found.held < 60


def test_taken_tasks_are_told_by_queue(r: Any, url: str, app: Celery, tmp_path: Path) -> None:
    """The broker keeps them together; their headers say where they belong."""
    with worker(r, url, tmp_path, "celery,mail", slots=1):
        put(app, 1, 30.0)
        until(lambda: not r.llen("celery"))
        put(app, 2, 0.1)
        put(app, 1, 0.1, queue="mail", countdown=500)
        put(app, 1, 0.1, queue="mail", retries=2, countdown=500)
        until(lambda: r.hlen("unacked") == 4)
        one, two = queue(url, "celery celery"), queue(url, "celery mail")
    assert (one.scheduled, one.retrying) == (0, 0)
    assert (two.scheduled, two.retrying, two.reserved) == (2, 1, 0)


def test_nobody_works(r: Any, url: str, app: Celery) -> None:
    """No heartbeat for more than twice its interval, and nobody listens."""
    put(app, 5, 1.0)
    finding = first(url, 6.0)
    assert (finding.check, finding.subject) == ("queue.no-workers", "celery celery")


def test_too_few_workers(r: Any, url: str, app: Celery, tmp_path: Path) -> None:
    """No age on this broker: depth over what the heartbeats tell, and the workers needed."""
    put(app, 400, 0.2)
    with worker(r, url, tmp_path, slots=1), every(0.05, lambda: put(app, 1, 0.2)):
        finding = first(url, 10.0)
    assert (finding.check, finding.subject) == ("queue.backlog", "celery celery")
    (needed,) = (e for e in finding.evidence if e.fact == "workers needed")
    assert 3 <= float(needed.value) <= 12
    assert "wait by Little's law" in [e.fact for e in finding.evidence]


def test_a_burst_that_drains_is_healthy(r: Any, url: str, app: Celery, tmp_path: Path) -> None:
    """Two hundred short tasks at once."""
    with worker(r, url, tmp_path, slots=4):
        put(app, 200, 0.02)
        found = report(url, 6.0)
    assert found.diagnoses == ()
    assert found.verdict.status.value == "healthy"


def test_a_killed_worker_leaves_its_tasks(r: Any, url: str, app: Celery, tmp_path: Path) -> None:
    """Nothing waits in the list, eight tasks are in nobody's hands for the next hour."""
    with worker(r, url, tmp_path) as one:
        put(app, 10, 60.0)
        until(lambda: r.hlen("unacked") == 8 and not r.llen("celery"))
        os.kill(one.pid, signal.SIGKILL)
        until(lambda: not any(int(c["psub"]) or c["cmd"] == "brpop" for c in r.client_list()))
    finding = first(url, 6.0)
    assert (finding.check, finding.subject) == ("queue.stuck-in-flight", "celery celery")
    assert "8 jobs" in finding.summary
    assert "come back after 60 min" in finding.summary


def test_one_worker_hoards(r: Any, url: str, app: Celery, tmp_path: Path) -> None:
    """The second one comes when the first has taken all: it stays idle."""
    with worker(r, url, tmp_path, slots=1):
        put(app, 5, 30.0)
        until(lambda: r.hlen("unacked") == 4 and not r.llen("celery"))
        with worker(r, url, tmp_path, name="two", slots=1):
            finding = first(url, 8.0)
    assert (finding.check, finding.subject) == ("queue.prefetch-hoard", "celery celery")
    assert "1 of 2 workers" in finding.summary


def test_a_task_that_is_held_too_long(r: Any, url: str, app: Celery, tmp_path: Path) -> None:
    """Near the time-out it is a risk: here a countdown that was taken nearly an hour ago."""
    with worker(r, url, tmp_path):
        put(app, 1, 0.1, countdown=7000)
        until(lambda: r.hlen("unacked") == 1)
        (tag,) = r.zrange("unacked_index", 0, -1)
        r.zadd("unacked_index", {tag: time.time() - 3590})
        found = report(url, 3.0)
    (risk,) = (f for f in found.risks if f.check == "queue.visibility-timeout")
    assert risk.subject == "celery celery"
