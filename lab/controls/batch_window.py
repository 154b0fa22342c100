"""A batch job that does it right: in chunks, each committed."""

from collections.abc import Iterator
from contextlib import contextmanager

from lab.programs import WORKER
from scaledoctor.demo.fault import Fault
from scaledoctor.demo.stage import Stage


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Update all orders, 200 at a time."""
    names = stage.names
    stage.work(
        "batch",
        program=WORKER,
        dsn=stage.shop.dsn_as(names.role_worker, names.app_worker),
        update=f"UPDATE {names.table(names.orders)} SET status = 'sent' WHERE id BETWEEN %s AND %s",
        rows=names.order_rows,
        step=200,
        pause=0.02,
    )
    yield


FAULT = Fault(
    name="batch-window",
    story="a batch job works through all orders in small transactions",
    inject=inject,
)
