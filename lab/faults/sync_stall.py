"""The synchronous standby is gone, and commits wait for it.

Writers hang until the service's pool is empty; then readers get no connection either.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from scaledoctor.demo.fault import Fault
from scaledoctor.demo.stage import Stage


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Name a synchronous standby that is not connected."""
    reload = "SELECT pg_reload_conf()"
    stage.sql("ALTER SYSTEM SET synchronous_standby_names = 'standby_b'", reload)
    yield
    stage.sql("ALTER SYSTEM RESET synchronous_standby_names", reload)


FAULT = Fault(
    name="sync-stall",
    story="the only synchronous standby has lost its network",
    inject=inject,
    checks=("postgres.sync-commit-stall",),
    subject=lambda names: "synchronous_standby_names",
)
