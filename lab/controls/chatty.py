"""Many sessions with short transactions that pause between their statements."""

from collections.abc import Iterator
from contextlib import contextmanager

from lab.programs import WORKER
from scaledoctor.demo.fault import Fault
from scaledoctor.demo.stage import Stage


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Read, change and read again with 5 ms in between, in 16 sessions."""
    names = stage.names
    inventory = names.table(names.inventory)
    stage.work(
        "chatty",
        program=WORKER,
        dsn=stage.shop.dsn_as(names.role_worker, names.app_worker),
        queries=[
            f"SELECT {names.stock} FROM {inventory} WHERE id = %s",
            f"UPDATE {inventory} SET {names.stock} = {names.stock} - 1 WHERE id = %s",
            f"SELECT {names.stock} FROM {inventory} WHERE id = %s",
        ],
        rows=names.product_rows,
        threads=16,
        pause=0.005,
    )
    yield


FAULT = Fault(
    name="chatty",
    story="sixteen workers run many short transactions with pauses in between",
    inject=inject,
)
