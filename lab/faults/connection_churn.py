"""A program that connects for every query."""

from collections.abc import Iterator
from contextlib import contextmanager

from lab.programs import WORKER
from scaledoctor.demo.fault import Fault
from scaledoctor.demo.stage import Stage


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Open at least thirty connections a second, for one query each."""
    names = stage.names
    stage.work(
        "churn",
        program=WORKER,
        dsn=stage.shop.dsn_as(names.role_reports, names.app_reports),
        query=f"SELECT name FROM {names.table(names.inventory)} WHERE id = 1",
        threads=6,
        pause=0.1,
    )
    yield


FAULT = Fault(
    name="connection-churn",
    story="a script connects to the database for every single query",
    inject=inject,
    checks=("postgres.connection-churn",),
    subject=lambda names: names.app_reports,
    hurts=None,  # it costs processor time and latency, not yet throughput
    bar=None,
)
