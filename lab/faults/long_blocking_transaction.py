"""One large transaction that works for minutes and keeps its row locks."""

from collections.abc import Iterator
from contextlib import contextmanager

from scaledoctor.demo.fault import Fault
from scaledoctor.demo.stage import Stage


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Update all products, then go on with one order after the other in the same transaction."""
    names = stage.names
    inventory, orders = names.table(names.inventory), names.table(names.orders)
    stage.work(
        "run",
        dsn=stage.shop.dsn_as(names.role_worker, names.app_worker),
        queries=[
            f"UPDATE {inventory} SET price_cents = price_cents + 1",
            f"UPDATE {orders} SET total_cents = total_cents + 1 WHERE pg_sleep(0.01) IS NOT NULL",
        ],
    )
    yield


FAULT = Fault(
    name="long-blocking-transaction",
    story="a batch job changes all prices and all orders in one transaction",
    inject=inject,
    checks=("postgres.blocking-transaction",),
    subject=lambda names: names.app_worker,
    symptoms=("postgres.connection-hog",),
)
