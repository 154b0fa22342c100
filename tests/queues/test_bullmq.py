"""BullMQ through its npm package: its own counts, and faults of its real workers."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scaledoctor.demo.servers.child import Child, child
from tests.queues.work import first, queue, until

pytestmark = [
    pytest.mark.live,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed"),
]


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with BullMQ, and the program that uses it."""
    folder = tmp_path_factory.mktemp("bullmq")
    install = [
        "npm",
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "bullmq@^6.7",
        "ioredis@^5",
    ]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"npm could not install bullmq: {done.stderr[-300:]}")
    shutil.copy(Path(__file__).with_name("bullmq.mjs"), folder)
    return folder


def node(package: Path, *words: object) -> str:
    """Run the program to its end."""
    command = ["node", "bullmq.mjs", *map(str, words)]
    done = subprocess.run(
        command, cwd=package, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def counts(package: Path, r: Any) -> dict[str, Any]:
    """What BullMQ says of its queue."""
    found: dict[str, Any] = json.loads(node(package, "count", port(r)))
    return found


def port(r: Any) -> int:
    """Where the server listens."""
    return int(r.connection_pool.connection_kwargs["port"])


@contextmanager
def worker(package: Path, r: Any, slots: int) -> Iterator[Child]:
    """A worker until the block ends; it is killed without warning then."""
    program = shutil.which("node")
    assert program is not None
    log = package / "log"
    log.unlink(missing_ok=True)
    with child(
        [program, "bullmq.mjs", "work", str(port(r)), str(slots)],
        folder=package,
        env=dict(os.environ),
        ready=lambda: log.exists() and "ready" in log.read_text(),
        stop_signal=signal.SIGKILL,
    ) as one:
        yield one


def test_the_numbers_are_those_of_bullmq(r: Any, url: str, package: Path) -> None:
    """Waiting, oldest, active, delayed, failed, workers, and what came and went."""
    node(package, "produce", port(r), 0, 0)
    with worker(package, r, 2):
        until(lambda: r.zcard("bull:mail:failed") == 1)
        node(package, "produce", port(r), 6, 60)
        until(lambda: r.llen("bull:mail:active") == 2)
        expected, found = counts(package, r), queue(url, "bullmq mail")
        assert found.oldest == pytest.approx(time.time() - expected["oldest"] / 1000, abs=3)
        assert found.ready == expected["waiting"] == 5
        assert (found.in_flight, found.scheduled) == (expected["active"], expected["delayed"])
        assert (found.dead, found.consumers) == (expected["failed"], expected["workers"])
        assert (found.arrived, found.done, found.stuck) == (10, 1, 0)


def test_nobody_works(r: Any, url: str, package: Path) -> None:
    """No connection has a worker's name."""
    node(package, "produce", port(r), 3, 1)
    for key in r.keys("bull:mail:[0-9]*"):
        r.hset(key, "timestamp", int((time.time() - 90) * 1000))
    finding = first(url, 1.0)
    assert (finding.check, finding.subject) == ("queue.no-workers", "bullmq mail")


def test_a_killed_worker_leaves_its_jobs(r: Any, url: str, package: Path) -> None:
    """Their locks run out; nothing else is there to see it."""
    with worker(package, r, 2) as one:
        node(package, "produce", port(r), 2, 60)
        until(lambda: r.llen("bull:mail:active") == 2)
        r.delete("bull:mail:wait")
        os.kill(one.pid, signal.SIGKILL)
    r.delete(*r.keys("bull:mail:*:lock"))  # half a minute later
    finding = first(url, 1.0)
    assert (finding.check, finding.subject) == ("queue.stuck-in-flight", "bullmq mail")
    assert "2 jobs" in finding.summary
