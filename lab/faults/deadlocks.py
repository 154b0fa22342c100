"""Transactions that lock the same rows in opposite order."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from lab.programs import WORKER
from scaledoctor.demo.fault import Fault, Pace
from scaledoctor.demo.shop import Names
from scaledoctor.demo.stage import Stage


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Update two popular products from many sessions, half of them in reverse order."""
    names = stage.names
    stage.work(
        "deadlock",
        program=WORKER,
        dsn=stage.shop.dsn_as(names.role_worker, names.app_worker),
        update=f"UPDATE {names.table(names.inventory)}"
        f" SET {names.stock} = {names.stock} - 1 WHERE id = %s",
        threads=6,
    )
    yield


def mix(names: Names) -> Mapping[str, float]:
    """A sale of the first two products."""
    return {
        f"GET /product/{{{names.product_rows}}}": 50,
        f"POST /order?customer={{{names.customer_rows}}}&product={{2}}": 50,
    }


FAULT = Fault(
    name="deadlocks",
    story="two jobs update the same products in opposite order, again and again",
    inject=inject,
    checks=("postgres.deadlocks",),
    subject=lambda names: names.table(names.inventory),
    symptoms=("postgres.hot-row",),
    pace=Pace(mix=mix),
    bar=None,
)
