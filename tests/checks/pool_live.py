"""A real pooler under real clients, scanned as the command line does it; what tests ask of it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg

from scaledoctor.collect import collect
from scaledoctor.demo.servers import PgBouncer
from scaledoctor.diagnosis.diagnose import diagnose
from scaledoctor.model import Finding
from scaledoctor.redact import Redactor
from scaledoctor.registry import load
from scaledoctor.report import Diagnosis, Report, Status
from scaledoctor.snapshot import Snapshot
from scaledoctor.targets.postgres import pgbouncer_target, postgres_target
from tests.checks.pg_facts import complete

REGISTRY = load()

Work = Callable[[psycopg.Connection], None]
"""One transaction, or a pause between two."""


def statement(sql: str, pause: float = 0.0) -> Work:
    """One statement in a transaction of its own, then a pause without a server."""

    def work(connection: psycopg.Connection) -> None:
        connection.execute(sql.encode())
        connection.commit()
        time.sleep(pause)

    return work


WORK = statement("SELECT pg_sleep(0.1)")


@contextmanager
def clients(count: int, dsn: str, work: Work, settle: float = 0.6) -> Iterator[None]:
    """So many threads that do this work over one connection each until the block ends.

    What goes wrong on the way is the fault's own; a lost connection is opened again.
    """
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set():
            with (
                suppress(psycopg.Error),
                psycopg.connect(dsn, prepare_threshold=None, connect_timeout=30) as connection,
            ):
                while not stop.is_set():
                    work(connection)
            stop.wait(0.1)

    threads = [threading.Thread(target=loop, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    time.sleep(settle)
    try:
        yield
    finally:
        stop.set()
        # Whoever waits for a server goes when the pooler does.
        until = time.monotonic() + 1.0
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))


def snapshot(console: str, postgres: str = "", window: float = 1.5) -> Snapshot:
    """What a scan of these two reads: never the host, whose other tenants are none of ours."""
    targets = [pgbouncer_target(console), *([postgres_target(postgres)] if postgres else [])]
    return collect(targets, REGISTRY, Redactor(), window)


def scan(console: str, postgres: str = "", window: float = 1.5) -> Report:
    """The report of that."""
    return diagnose(snapshot(console, postgres, window), REGISTRY)


def scan_postgres(dsn: str, window: float = 1.0) -> Report:
    """The report of a PostgreSQL alone."""
    return diagnose(collect([postgres_target(dsn)], REGISTRY, Redactor(), window), REGISTRY)


def console(pooler: PgBouncer) -> str:
    """As a user who may only look."""
    return pooler.dsn("stats", "pgbouncer")


def web(pooler: PgBouncer) -> str:
    """The application's DSN."""
    return pooler.dsn("web", application_name="shop-web")


def first(report: Report) -> Diagnosis:
    """The first diagnosis, complete; nothing crashed on these targets."""
    assert not [f for f in report.errored if f.target], report.errored
    assert report.diagnoses, report.verdict
    complete(report.diagnoses[0].finding)
    return report.diagnoses[0]


def chain(diagnosis: Diagnosis) -> list[str]:
    """The resources on the way to the root."""
    return [hop.key for hop in diagnosis.chain if hop.node == "resource"]


def every(report: Report) -> set[str]:
    """The checks of everything that was said."""
    said: list[Finding] = [*(d.finding for d in report.diagnoses), *report.minor, *report.risks]
    return {f.check for f in said}


def quiet(report: Report) -> None:
    """No bottleneck, and no live word about the pooler."""
    assert not [f for f in report.errored if f.target], report.errored
    assert report.verdict.status is Status.HEALTHY, report.verdict.sentence
    assert not [f for f in report.minor if f.check.startswith("pgbouncer.")]


def paste(diagnosis: Diagnosis, pooler: PgBouncer) -> None:
    """What a reader does with the first fix: below its section, the others at the end."""
    block = "\n".join(diagnosis.finding.fixes[0].commands)
    text = pooler.ini.read_text()
    if "\n[" in block:
        text = f"{text}\n{block}\n"
    else:
        before, head, rest = text.partition("[pgbouncer]\n")
        names = [line.partition(" =")[0] for line in block.splitlines() if line[0] != ";"]
        old = [line for line in rest.splitlines() if line.partition(" =")[0] not in names]
        text = f"{before}{head}{block}\n" + "\n".join(old) + "\n"
    pooler.ini.write_text(text)
    with psycopg.connect(pooler.dsn("postgres", "pgbouncer"), autocommit=True) as admin:
        admin.execute("RELOAD")
    time.sleep(1.0)  # servers are opened one at a time
