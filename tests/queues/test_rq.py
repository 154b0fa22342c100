"""RQ: numbers as RQ itself gives them, and each fault made by its real workers."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import rq
from rq.registry import FailedJobRegistry, StartedJobRegistry

from scaledoctor.demo.servers import PostgresServer
from scaledoctor.demo.servers.child import Child
from scaledoctor.model import Severity
from tests.queues.apps import fail, nap, take_stock
from tests.queues.work import every, first, program, queue, report, until

pytestmark = [pytest.mark.live, pytest.mark.slow]  # real workers need real seconds

WORKER = "from rq.cli import main; main()"
SIMPLE = ("--worker-class", "rq.worker.SimpleWorker")


@contextmanager
def worker(r: Any, url: str, folder: Path, *queues: str) -> Iterator[Child]:
    """A worker in one process, once it is registered for its first queue."""
    before = r.scard(f"rq:workers:{queues[0]}")

    def ready() -> bool:
        return bool(r.scard(f"rq:workers:{queues[0]}") > before)

    name = folder / f"worker{before}"
    with program(
        WORKER, "worker", "-u", url, *SIMPLE, *queues, url=url, folder=name, ready=ready
    ) as one:
        yield one


def age(jobs: list[rq.job.Job], seconds: float) -> None:
    """Let jobs wait for some time already."""
    past = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    for job in jobs:
        job.connection.hset(job.key, "enqueued_at", past)


def put(r: Any, count: int, seconds: float, name: str = "mail") -> list[rq.job.Job]:
    """Put jobs into a queue, as an application does."""
    mail = rq.Queue(name, connection=r)
    return [mail.enqueue(nap, seconds) for _ in range(count)]


def test_the_numbers_are_those_of_rq(r: Any, url: str, tmp_path: Path) -> None:
    """Ready, oldest, in flight, workers, failed and scheduled."""
    mail = rq.Queue("mail", connection=r)
    mail.enqueue(fail)
    with worker(r, url, tmp_path, "mail", "low"):
        until(lambda: len(FailedJobRegistry(queue=mail)) == 1)
        put(r, 5, 60.0)
        until(lambda: len(StartedJobRegistry(queue=mail)) == 1)
        mail.enqueue_in(timedelta(hours=1), nap, 1)
        oldest = mail.jobs[0].enqueued_at
        assert oldest is not None
        found = queue(url, "rq mail")
        expected = (datetime.now(UTC) - oldest.replace(tzinfo=UTC)).total_seconds()
        assert found.ready == mail.count == 4
        assert found.oldest == pytest.approx(expected, abs=2.0)
        assert found.consumers == rq.Worker.count(queue=mail) == 1
        assert (found.in_flight, found.slots, found.idle) == (1, 1, 0)
        assert (found.dead, found.scheduled, found.stuck, found.paused) == (1, 1, 0, False)
        assert queue(url, "rq low" if rq.Queue("low", connection=r).count else "rq mail").slots == 1


def test_counts_what_comes_and_what_is_done(r: Any, url: str, tmp_path: Path) -> None:
    """Exactly, from where the newest job of the last reading stands."""
    put(r, 30, 0.0)
    mail = rq.Queue("mail", connection=r)
    with every(0.25, lambda: mail.enqueue(nap, 0.0)), every(0.5, lambda: r.lpop("rq:queue:mail")):
        found = queue(url, "rq mail", 4.0)
    assert found.arrived is not None
    assert found.done is not None
    assert 8 <= found.arrived <= 24
    assert 4 <= found.done <= 12
    assert 30 + found.arrived - found.done == pytest.approx(found.ready, abs=2)


def test_an_idle_worker_lives_by_its_connection(r: Any, url: str, tmp_path: Path) -> None:
    """Its heartbeat comes every seven minutes; after a kill the connection is gone at once."""
    with worker(r, url, tmp_path, "mail") as one:
        rq.Queue("mail", connection=r).enqueue(nap, 0)
        until(lambda: not r.llen("rq:queue:mail") and not r.zcard("rq:wip:mail"))
        until(lambda: any(c["cmd"] in ("blpop", "blmove") for c in r.client_list()))
        (key,) = r.smembers("rq:workers:mail")
        r.hset(key, "last_heartbeat", "2026-01-01T00:00:00Z")
        alive = queue(url, "rq mail")
        assert (alive.consumers, alive.idle) == (1, 1)
        os.kill(one.pid, signal.SIGKILL)
        until(lambda: queue(url, "rq mail").consumers == 0)


def test_a_burst_that_drains_is_healthy(r: Any, url: str, tmp_path: Path) -> None:
    """Three hundred jobs at once, two workers: no finding, no saturated resource."""
    with worker(r, url, tmp_path, "mail"), worker(r, url, tmp_path, "mail"):
        put(r, 300, 0.02)
        found = report(url, 5.0)
    assert found.diagnoses == ()
    assert found.verdict.status.value == "healthy"
    assert "saturated" not in [row.state.value for row in found.headroom]


def test_nobody_works(r: Any, url: str) -> None:
    """The first finding names the queue that has no workers."""
    age(put(r, 5, 1.0), 90)
    finding = first(url, 1.0)
    assert (finding.check, finding.subject) == ("queue.no-workers", "rq mail")
    assert finding.severity is Severity.CRITICAL


def test_too_few_workers(r: Any, url: str, tmp_path: Path) -> None:
    """Ten jobs a second come, one worker does less than five: how many are needed, and why."""
    age(put(r, 100, 0.2), 45)
    mail = rq.Queue("mail", connection=r)
    with worker(r, url, tmp_path, "mail"), every(0.1, lambda: mail.enqueue(nap, 0.2)):
        finding = first(url, 10.0)
    assert (finding.check, finding.subject) == ("queue.backlog", "rq mail")
    assert "never drains" in finding.summary
    (needed,) = (e for e in finding.evidence if e.fact == "workers needed")
    assert float(needed.value) >= 3
    assert finding.waits_for == {}


def test_workers_that_wait_for_the_database(
    r: Any, url: str, tmp_path: Path, pg18: PostgresServer
) -> None:
    """The cause is the forgotten transaction; the backlog is its symptom; workers do not help."""
    with psycopg.connect(pg18.dsn(), autocommit=True) as admin:
        admin.execute("DROP TABLE IF EXISTS stock")
        admin.execute("CREATE TABLE stock (id int PRIMARY KEY, n int)")
        admin.execute("INSERT INTO stock VALUES (1, 100)")
    mail = rq.Queue("mail", connection=r)
    jobs = [mail.enqueue(take_stock, pg18.dsn()) for _ in range(50)]
    with psycopg.connect(pg18.dsn(), application_name="back office") as holder:
        holder.execute("UPDATE stock SET n = 0 WHERE id = 1")
        with worker(r, url, tmp_path, "mail"), worker(r, url, tmp_path, "mail"):
            until(lambda: r.zcard("rq:wip:mail") == 2)
            age(jobs[2:], 45)
            with every(0.2, lambda: mail.enqueue(take_stock, pg18.dsn())):
                found = report(url, 10.0, dsn=pg18.dsn())
            holder.rollback()
    root = found.diagnoses[0]
    assert root.finding.check.startswith("postgres.")
    assert root.finding.subject == "back office"
    (symptom,) = (s for s in root.symptoms if s.check == "queue.backlog")
    assert "more workers do not help" in symptom.summary
    assert [hop.key for hop in root.chain if hop.node == "resource"] == [
        "queue.workers:rq mail", "postgres.locks",
    ]  # fmt: skip


def test_jobs_that_fail(r: Any, url: str, tmp_path: Path) -> None:
    """Every job of the window ends in the registry of failed ones."""
    mail = rq.Queue("mail", connection=r)
    with worker(r, url, tmp_path, "mail"), every(0.1, lambda: mail.enqueue(fail)):
        finding = first(url, 4.0)
    assert (finding.check, finding.subject) == ("queue.dead", "rq mail")
    assert finding.severity is Severity.HIGH


def test_a_worker_that_was_killed_at_work(r: Any, url: str, tmp_path: Path) -> None:
    """Its job's lease runs out; nothing else waits."""
    with worker(r, url, tmp_path, "mail") as one:
        put(r, 1, 60.0)
        until(lambda: r.zcard("rq:wip:mail") == 1)
        os.kill(one.pid, signal.SIGKILL)
    (member,) = r.zrange("rq:wip:mail", 0, -1)
    r.zadd("rq:wip:mail", {member: time.time() - 1})  # a minute and a half later
    finding = first(url, 1.0)
    assert (finding.check, finding.subject) == ("queue.stuck-in-flight", "rq mail")
