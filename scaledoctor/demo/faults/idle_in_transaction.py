"""A nightly job updates a table and forgets to commit."""

from collections.abc import Iterator
from contextlib import contextmanager

from scaledoctor.demo.fault import Fault
from scaledoctor.demo.stage import Stage


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Update every row of the inventory in a transaction that stays open."""
    names = stage.names
    dsn = stage.shop.dsn_as(names.role_worker, names.app_worker)
    update = f"UPDATE {names.table(names.inventory)} SET {names.stock} = {names.stock} + 10"
    stage.work("hold", dsn=dsn, queries=[update])
    yield


FAULT = Fault(
    name="idle-in-transaction",
    story="a nightly job restocks all products and forgets to commit",
    inject=inject,
    checks=("postgres.idle-in-transaction",),
    subject=lambda names: names.app_worker,
    symptoms=("postgres.connection-hog",),
)
