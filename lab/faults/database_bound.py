"""The database fills the processors, and the pool before it fills up: a symptom."""

from collections.abc import Iterator
from contextlib import contextmanager

from lab.tiers import all_tiers, orders
from scaledoctor.demo.fault import Fault, Pace
from scaledoctor.demo.stage import Stage

SUMS = 150_000
"""Numbers that are added up for each order: about 20 ms of processor time."""


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Compute something for each order, in a trigger."""
    names = stage.names
    stage.sql(
        f"CREATE FUNCTION {names.table('sign')}() RETURNS trigger LANGUAGE plpgsql AS"
        f" 'BEGIN PERFORM sum(i) FROM generate_series(1, {SUMS}) i; RETURN NEW; END'",
        f"CREATE TRIGGER sign BEFORE INSERT ON {names.table(names.orders)}"
        f" FOR EACH ROW EXECUTE FUNCTION {names.table('sign')}()",
    )
    yield


FAULT = Fault(
    name="database-bound",
    story="a release computes a signature for each order inside the database",
    inject=inject,
    checks=("postgres.cpu-bound",),
    subject=lambda names: "postgres",
    topology=all_tiers({"default_pool_size": 4}),
    pace=Pace(clients=20, think_ms=20.0, mix=orders),
    bar=None,
)
