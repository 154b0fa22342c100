"""A migration waits for a reader, and everybody waits for the migration."""

from collections.abc import Iterator
from contextlib import contextmanager

from scaledoctor.demo.fault import Fault
from scaledoctor.demo.stage import Stage


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Read a table in a transaction that stays open, then alter that table."""
    names = stage.names
    orders = names.table(names.orders)
    reader = stage.shop.dsn_as(names.role_analytics, names.app_analytics)
    stage.work("hold", dsn=reader, queries=[f"SELECT count(*) FROM {orders}"])
    migrator = stage.shop.dsn_as(names.role_migrator, names.app_migrator)
    stage.work("run", dsn=migrator, queries=[f"ALTER TABLE {orders} ADD COLUMN note text"])
    yield


FAULT = Fault(
    name="ddl-queue",
    story="a migration alters the orders table while a report still reads it",
    inject=inject,
    checks=("postgres.ddl-queue",),
    subject=lambda names: names.table(names.orders),
    symptoms=("postgres.connection-hog", "postgres.idle-in-transaction"),
)
