"""An index is dropped that a route lives on."""

from collections.abc import Iterator
from contextlib import contextmanager

from scaledoctor.demo.fault import Fault, Pace
from scaledoctor.demo.stage import Stage


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Drop the index on the orders' customer."""
    stage.sql(f"DROP INDEX {stage.names.table(stage.names.customer_index)}")
    yield


FAULT = Fault(
    name="missing-index",
    story="a clean-up drops an index that looked unused",
    inject=inject,
    checks=("postgres.statement-share",),
    subject=lambda names: f"{names.table(names.orders)}({names.customer_key})",
    symptoms=("postgres.cpu-bound",),
    # A busy hour, the same for every seed: scans of the table then fill the processors.
    pace=Pace(clients=16, think_ms=15.0),
)
