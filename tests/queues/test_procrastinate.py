"""procrastinate: numbers as its own manager gives them, and faults of its real workers."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import procrastinate
import psycopg
import pytest

from scaledoctor.demo.servers import PostgresServer
from scaledoctor.demo.servers.child import Child
from scaledoctor.diagnosis import diagnose
from scaledoctor.report import Report
from scaledoctor.sources.queues import Queue, Queues
from tests.queues.pg_jobs import app_of
from tests.queues.work import every, program, until
from tests.sources.pg import last, look, record, registry, run

pytestmark = [pytest.mark.live, pytest.mark.slow]  # real workers need real seconds

WORKER = "import runpy; runpy.run_module('tests.queues.pg_jobs', run_name='__main__')"


@pytest.fixture
def dsn(postgres_server: PostgresServer) -> Iterator[str]:
    """A database with a table that jobs change."""
    admin, name = postgres_server.dsn(), postgres_server.dsn(dbname="jobs")
    run(admin, "DROP DATABASE IF EXISTS jobs WITH (FORCE)", "CREATE DATABASE jobs")
    run(name, "CREATE TABLE stock (id int PRIMARY KEY, n int)", "INSERT INTO stock VALUES (1, 9)")
    run(name, "CREATE EXTENSION pg_stat_statements")
    yield name
    run(admin, "DROP DATABASE jobs WITH (FORCE)")


@pytest.fixture
def app(dsn: str) -> Iterator[procrastinate.App]:
    """The application, with procrastinate's own schema in the database."""
    with app_of(dsn).open() as opened:
        opened.schema_manager.apply_schema()
        yield opened


@contextmanager
def worker(app: procrastinate.App, dsn: str, folder: Path, slots: int = 1) -> Iterator[Child]:
    """A worker in one process, once it has registered."""
    before = count(dsn, "SELECT count(*) FROM procrastinate_workers")

    def ready() -> bool:
        return count(dsn, "SELECT count(*) FROM procrastinate_workers") > before

    where = folder / f"worker{before}"
    with program(WORKER, dsn, str(slots), url="", folder=where, ready=ready) as one:
        yield one


def count(dsn: str, query: str) -> int:
    """One number."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0


def put(app: procrastinate.App, jobs: int, seconds: float = 0.0, **more: int) -> None:
    """Put jobs into the queue, as an application does."""
    task = app.configure_task("nap", queue="mail")
    for _ in range(jobs):
        task.defer(seconds=seconds, **more)


def age(dsn: str, seconds: int) -> None:
    """Let the jobs that wait have waited for some time already."""
    run(dsn, f"UPDATE procrastinate_events SET at = at - interval '{seconds} s'")


def queue(dsn: str) -> Queue:
    """The one queue, once."""
    (found,) = last(record(dsn, 0.0), Queues).queues
    return found


def report(dsn: str, window: float) -> Report:
    """A scan's whole report."""
    found = diagnose(look(dsn, window), registry())
    assert not found.errored, found.errored
    return found


def test_the_numbers_are_those_of_procrastinate(
    app: procrastinate.App, dsn: str, tmp_path: Path
) -> None:
    """Ready, oldest, in flight, workers, failed and scheduled."""
    app.configure_task("fail", queue="mail").defer()
    with worker(app, dsn, tmp_path):
        until(lambda: next(iter(app.job_manager.list_queues()))["failed"] == 1)
        put(app, 5, 60.0)
        until(lambda: next(iter(app.job_manager.list_queues()))["doing"] == 1)
        app.configure_task("nap", queue="mail", schedule_in={"hours": 1}).defer(seconds=1)
        age(dsn, 40)
        (own,) = app.job_manager.list_queues(queue="mail")
        found = queue(dsn)
    assert found.label == "procrastinate mail"
    assert own["todo"] == found.ready + (found.scheduled or 0) == 5
    assert (found.ready, found.scheduled, found.retrying) == (4, 1, 0)
    assert (found.in_flight, found.dead) == (own["doing"], own["failed"]) == (1, 1)
    assert (found.consumers, found.stuck) == (1, 0)
    assert found.oldest is not None
    assert 40 <= found.oldest < 70


def test_a_burst_that_drains_is_healthy(app: procrastinate.App, dsn: str, tmp_path: Path) -> None:
    """Three hundred jobs at once: no finding."""
    with worker(app, dsn, tmp_path, slots=4):
        put(app, 300)
        found = report(dsn, 5.0)
    assert found.diagnoses == ()
    assert found.verdict.status.value == "healthy"


def test_nobody_works(app: procrastinate.App, dsn: str) -> None:
    """No heartbeat at all."""
    put(app, 5)
    age(dsn, 90)
    finding = report(dsn, 1.0).diagnoses[0].finding
    assert (finding.check, finding.subject) == ("queue.no-workers", "procrastinate mail")


def test_too_few_workers(app: procrastinate.App, dsn: str, tmp_path: Path) -> None:
    """Ten jobs a second come, one slot does less than five."""
    put(app, 100, 0.2)
    age(dsn, 45)
    with worker(app, dsn, tmp_path), every(0.1, lambda: put(app, 1, 0.2)):
        finding = report(dsn, 10.0).diagnoses[0].finding
    assert (finding.check, finding.subject) == ("queue.backlog", "procrastinate mail")
    (needed,) = (e for e in finding.evidence if e.fact == "workers needed")
    assert float(needed.value) >= 2
    assert finding.waits_for == {}


def test_workers_that_wait_for_the_database(
    app: procrastinate.App, dsn: str, tmp_path: Path
) -> None:
    """The cause is the forgotten transaction; the backlog is its symptom; workers do not help."""
    stock = app.configure_task("take_stock", queue="mail")
    for _ in range(50):
        stock.defer()
    age(dsn, 45)
    with psycopg.connect(dsn, application_name="back office") as holder:
        holder.execute("UPDATE stock SET n = 0 WHERE id = 1")
        with worker(app, dsn, tmp_path), worker(app, dsn, tmp_path):
            until(lambda: queue(dsn).in_flight == 2)
            with every(0.2, stock.defer):
                found = report(dsn, 10.0)
            holder.rollback()
    root = found.diagnoses[0]
    assert root.finding.check.startswith("postgres.")
    assert root.finding.subject == "back office"
    (symptom,) = (s for s in root.symptoms if s.check == "queue.backlog")
    assert "more workers do not help" in symptom.summary
    assert [hop.key for hop in root.chain if hop.node == "resource"] == [
        "queue.workers:procrastinate mail", "postgres.locks",
    ]  # fmt: skip


def test_a_killed_worker_leaves_its_job(app: procrastinate.App, dsn: str, tmp_path: Path) -> None:
    """Its heartbeat ends; nothing else is there to see it."""
    with worker(app, dsn, tmp_path) as one:
        put(app, 1, 60.0)
        until(lambda: queue(dsn).in_flight == 1)
        os.kill(one.pid, signal.SIGKILL)
    run(dsn, "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '40 s'")
    finding = report(dsn, 1.0).diagnoses[0].finding
    assert (finding.check, finding.subject) == ("queue.stuck-in-flight", "procrastinate mail")


def test_a_report_that_holds_the_dead_rows(
    app: procrastinate.App, dsn: str, tmp_path: Path
) -> None:
    """A snapshot from before a hundred thousand jobs were done: each fetch reads through them."""
    with psycopg.connect(dsn, application_name="quarterly report") as holder:
        holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT count(*) FROM stock")
        begun = time.monotonic()
        run(
            dsn,
            "INSERT INTO procrastinate_jobs (queue_name, task_name) "
            "SELECT 'mail', 'nap' FROM generate_series(1, 100000)",
            "DELETE FROM procrastinate_jobs",
        )
        put(app, 300)
        with worker(app, dsn, tmp_path), worker(app, dsn, tmp_path):
            until(lambda: time.monotonic() - begun > 31, 60)
            with every(0.02, lambda: put(app, 1)):
                found = report(dsn, 10.0)
        holder.rollback()
    root = found.diagnoses[0]
    assert (root.finding.check, root.finding.subject) == (
        "queue.xmin-collapse", "public.procrastinate_jobs",
    )  # fmt: skip
    assert root.finding.summary.startswith("quarterly report (pid ")
    assert any(line.startswith("SELECT pg_terminate_backend(") for line in
               root.finding.fixes[0].commands)  # fmt: skip
