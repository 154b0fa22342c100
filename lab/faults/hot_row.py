"""Every order wants the same row."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from lab.programs import WORKER
from scaledoctor.demo.fault import Fault, Pace
from scaledoctor.demo.shop import Names
from scaledoctor.demo.stage import Stage


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Hold that row for 20 ms in each of many transactions, one after the other."""
    names = stage.names
    stage.work(
        "hot",
        program=WORKER,
        dsn=stage.shop.dsn_as(names.role_worker, names.app_worker),
        update=f"UPDATE {names.table(names.inventory)}"
        f" SET {names.stock} = {names.stock} - 1 WHERE id = %s",
        threads=12,
        hold=0.02,
    )
    yield


def mix(names: Names) -> Mapping[str, float]:
    """A sale: half of the requests order product 1."""
    return {
        f"GET /product/{{{names.product_rows}}}": 50,
        f"POST /order?customer={{{names.customer_rows}}}&product={{1}}": 50,
    }


FAULT = Fault(
    name="hot-row",
    story="all orders are for one product, whose row is held while a payment service answers",
    inject=inject,
    checks=("postgres.hot-row",),
    subject=lambda names: names.table(names.inventory),
    pace=Pace(mix=mix),
    bar=None,
)
