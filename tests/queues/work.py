"""Real workers as children, steady producers, and scans as users get them."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from scaledoctor.collect import collect
from scaledoctor.demo.servers.child import Child, child
from scaledoctor.diagnosis import diagnose
from scaledoctor.model import Finding
from scaledoctor.redact import Redactor
from scaledoctor.registry import Registry, load
from scaledoctor.report import Report
from scaledoctor.snapshot import Record, Snapshot
from scaledoctor.sources.queues import Queue, Queues
from scaledoctor.targets import targets

ROOT = Path(__file__).parents[2]

registry: Callable[[], Registry] = cache(load)


@contextmanager
def program(
    code: str,
    *words: str,
    url: str,
    folder: Path,
    ready: Callable[[], bool],
    **environment: str,
) -> Iterator[Child]:
    """Run a Python program until the block ends; it is killed without warning then."""
    folder.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "QUEUE_URL": url, "PYTHONPATH": str(ROOT), **environment}
    with child(
        [sys.executable, "-c", code, *words],
        folder=folder,
        env=env,
        ready=ready,
        stop_signal=signal.SIGKILL,
    ) as running:
        yield running


@contextmanager
def every(seconds: float, act: Callable[[], object]) -> Iterator[None]:
    """Do something again and again until the block ends, at a steady rate."""
    ended = threading.Event()

    def loop() -> None:
        begun, n = time.monotonic(), 0
        while not ended.wait(max(0.0, begun + n * seconds - time.monotonic())):
            act()
            n += 1

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(10)


def look(url: str, window: float = 0.0, *, dsn: str = "", queues: Sequence[str] = ()) -> Snapshot:
    """Scan one Redis, and perhaps a PostgreSQL, without the host."""
    given = {"redis": [url], "queue": list(queues), "dsn": [dsn] if dsn else []}
    return collect(targets(given, {})[1:], registry(), Redactor(), window)


def record(url: str, window: float = 0.0, *, queues: Sequence[str] = ()) -> Record:
    """What a scan of one Redis read, once it was let in and nothing crashed."""
    (found,) = look(url, window, queues=queues).records
    assert found.reach.ok, found.reach
    assert found.failures == ()
    return found


def readings(found: Record) -> list[Queues]:
    """Its queues at each reading."""
    assert "Queues" in found.samples, found.skips
    return [fact for _, fact in found.samples["Queues"]]


def queue(url: str, label: str, window: float = 0.0, *, names: Sequence[str] = ()) -> Queue:
    """The last reading of one queue."""
    queues = readings(record(url, window, queues=names))[-1].queues
    found = [q for q in queues if q.label == label]
    assert len(found) == 1, [q.label for q in queues]
    return found[0]


def report(url: str, window: float, *, dsn: str = "") -> Report:
    """A scan's whole report."""
    return diagnose(look(url, window, dsn=dsn), registry())


def first(url: str, window: float, *, dsn: str = "") -> Finding:
    """The finding that a scan names as the bottleneck."""
    found = report(url, window, dsn=dsn)
    assert not found.errored, found.errored
    assert found.diagnoses, found.verdict
    return found.diagnoses[0].finding


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait for something that another process does in its own time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it has not happened in time"
        time.sleep(0.02)
