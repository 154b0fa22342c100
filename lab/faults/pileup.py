"""A forgotten transaction, and a program whose pool has no limit: the slots fill up behind it."""

from collections.abc import Iterator
from contextlib import contextmanager

from lab.programs import WORKER
from scaledoctor.demo.fault import Fault
from scaledoctor.demo.faults import idle_in_transaction
from scaledoctor.demo.faults.connection_leak import RESERVED
from scaledoctor.demo.stage import Stage


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Forget a transaction, then keep asking for its rows on ever more connections."""
    names = stage.names
    if stage.server.major >= RESERVED:
        stage.sql(f"GRANT pg_use_reserved_connections TO {names.role_scan}")
    with idle_in_transaction.inject(stage):
        stage.work(
            "unbounded",
            program=WORKER,
            dsn=stage.shop.dsn_as(names.role_web, names.app_web),
            update=f"UPDATE {names.table(names.inventory)}"
            f" SET {names.stock} = {names.stock} - 1 WHERE id = %s",
            rows=names.product_rows,
            pause=0.1,
        )
        yield


FAULT = Fault(
    name="pileup",
    story="a job forgets to commit, and the web servers open connection after connection",
    inject=inject,
    checks=("postgres.idle-in-transaction",),
    subject=lambda names: names.app_worker,
    settings={"max_connections": 40, "reserved_connections": 2},
    settle=6.0,
)
