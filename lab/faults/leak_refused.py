"""A leak that leaves no slot for the scan: the refusal is the finding."""

from collections.abc import Iterator
from contextlib import contextmanager

from scaledoctor.demo.fault import Fault
from scaledoctor.demo.faults.connection_leak import leak
from scaledoctor.demo.stage import Stage


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Leak until every slot is gone."""
    leak(stage)
    yield


FAULT = Fault(
    name="leak-refused",
    story="the reports service leaks connections until nobody can log in, the scan included",
    inject=inject,
    checks=("postgres.connections-refused", "postgres.connection-hog"),
    subject=lambda names: names.role_reports,
    settings={"max_connections": 40},
)
