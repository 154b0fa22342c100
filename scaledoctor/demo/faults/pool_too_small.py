"""A pool of two connections before a database that has room for many more."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from scaledoctor.demo import consoles
from scaledoctor.demo.fault import Fault, Pace
from scaledoctor.demo.shop import Names, Service
from scaledoctor.demo.stage import Stage
from scaledoctor.demo.topology import Topology

SMALL = 2
WAIT = 0.04
"""Seconds for which an order waits in the database for another system; it costs no processor."""


def prepare(stage: Stage) -> None:
    """Tell the warehouse of each order, from a trigger."""
    names = stage.names
    function, trigger = names.table("tell_warehouse"), "tell_warehouse"
    stage.sql(
        f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS"
        f" 'BEGIN PERFORM pg_sleep({WAIT}); RETURN NEW; END'",
        f"CREATE TRIGGER {trigger} BEFORE INSERT ON {names.table(names.orders)}"
        f" FOR EACH ROW EXECUTE FUNCTION {function}()",
    )


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Shrink the pool, as the settings of a test system do that get into production."""
    if stage.tiers.pooler:
        consoles.configure(stage.tiers.pooler, {"default_pool_size": SMALL})
        # It closes what is too many while it is idle; under load it might not for a long time.
        stage.dwindled(stage.names.role_web, SMALL, 10.0)
    yield


def mix(names: Names) -> Mapping[str, float]:
    """Half of the requests are orders."""
    return {
        f"GET /product/{{{names.product_rows}}}": 50,
        f"POST /order?customer={{{names.customer_rows}}}&product={{{names.product_rows}}}": 50,
    }


FAULT = Fault(
    name="pool-too-small",
    story="the pooler is rolled out with the settings of the test system, a pool of 2",
    inject=inject,
    checks=("pgbouncer.pool-too-small",),
    subject=lambda names: names.database,
    topology=Topology(Service(pool=16), pooler={}),
    prepare=prepare,
    pace=Pace(clients=20, mix=mix),
)
