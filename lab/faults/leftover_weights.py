"""After a rollout nobody gave the servers their weights back."""

from collections.abc import Iterator
from contextlib import contextmanager

from lab.tiers import INSTANCES
from scaledoctor.demo import consoles
from scaledoctor.demo.fault import Fault, Pace
from scaledoctor.demo.shop import Service
from scaledoctor.demo.stage import Stage
from scaledoctor.demo.topology import Balancer, Topology


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Leave two servers at a twentieth of their weight: the third one gets nearly everything."""
    names, balancer = stage.names, stage.tiers.balancer
    assert balancer is not None
    servers = names.servers(INSTANCES)
    servers.pop(names.unlucky(INSTANCES))
    for server in servers:
        consoles.tell(balancer, f"set server {names.backend}/{server} weight 5%")
    yield


FAULT = Fault(
    name="leftover-weights",
    story="after a rollout two of three servers keep the small weights they were eased in with",
    inject=inject,
    checks=("haproxy.leftover-weight",),
    subject=lambda names: names.backend,
    # One instance serves half of the traffic, two serve all of it.
    topology=Topology(Service(instances=INSTANCES, workers=3, work_ms=20.0), Balancer()),
    pace=Pace(clients=20),
)
