"""One server is out for maintenance, as it should be during a rollout."""

from collections.abc import Iterator
from contextlib import contextmanager

from lab.tiers import INSTANCES, all_tiers
from scaledoctor.demo import consoles
from scaledoctor.demo.fault import Fault
from scaledoctor.demo.stage import Stage


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Drain one server; the others have room."""
    names, balancer = stage.names, stage.tiers.balancer
    assert balancer is not None
    server = names.servers(INSTANCES)[names.unlucky(INSTANCES)]
    consoles.tell(balancer, f"set server {names.backend}/{server} state drain")
    yield


FAULT = Fault(
    name="planned-drain",
    story="one of three servers is drained for a rollout, and the others have room",
    inject=inject,
    topology=all_tiers({}),
)
