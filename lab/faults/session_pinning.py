"""In session mode every client keeps its server, whether it has work or not."""

from collections.abc import Iterator
from contextlib import contextmanager

from lab.tiers import all_tiers
from scaledoctor.demo import consoles
from scaledoctor.demo.fault import Fault
from scaledoctor.demo.stage import Stage

SIZE = 2
"""Below the number of instances, so that one has no server at all."""


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Change the mode of the pool, as an upgrade does that brings back the default."""
    assert stage.tiers.pooler is not None
    consoles.configure(stage.tiers.pooler, {"pool_mode": "session"})
    yield


FAULT = Fault(
    name="session-pinning",
    story="the pooler falls back to session mode, in which an idle client keeps its server",
    inject=inject,
    checks=("pgbouncer.session-pooling",),
    subject=lambda names: f"{names.database}/{names.role_web}",
    topology=all_tiers({"default_pool_size": SIZE}),
)
