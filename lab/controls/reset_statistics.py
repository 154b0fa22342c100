"""Somebody resets all statistics right before the scan."""

from collections.abc import Iterator
from contextlib import contextmanager

from scaledoctor.demo.fault import Fault
from scaledoctor.demo.stage import Stage


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Forget every counter."""
    stage.sql("SELECT pg_stat_reset()", "SELECT pg_stat_statements_reset()")
    yield


FAULT = Fault(
    name="reset-statistics",
    story="somebody resets all statistics",
    inject=inject,
    settle=0.0,
)
