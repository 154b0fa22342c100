"""One instance of the service answers late, and its health checks do not see it."""

from collections.abc import Iterator
from contextlib import contextmanager

from scaledoctor.demo.fault import Fault
from scaledoctor.demo.shop import Service
from scaledoctor.demo.stage import Stage
from scaledoctor.demo.topology import Balancer, Topology

INSTANCES = 3


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Make one of the instances answer each request late, by six times the clients' pause."""
    unlucky = stage.names.unlucky(INSTANCES)
    stage.shop.instances[unlucky].delay(6.0 * stage.names.think_ms)
    yield


FAULT = Fault(
    name="slow-backend",
    story="one of three instances behind the balancer becomes slow, and passes its health checks",
    inject=inject,
    checks=("haproxy.slow-server",),
    subject=lambda names: f"{names.backend}/{names.servers(INSTANCES)[names.unlucky(INSTANCES)]}",
    topology=Topology(Service(instances=INSTANCES), Balancer()),
)
