"""Two of three instances are gone: one has died, one hangs."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from scaledoctor.demo.fault import Fault
from scaledoctor.demo.shop import Service
from scaledoctor.demo.stage import Stage
from scaledoctor.demo.topology import Balancer, Topology

INSTANCES = 3


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Kill the instance after the lucky one, and stop the next."""
    lucky = stage.names.unlucky(INSTANCES)
    dead, hangs = (stage.shop.instances[(lucky + n) % INSTANCES].child.process for n in (1, 2))
    dead.send_signal(signal.SIGKILL)
    # A stopped process does not hear SIGTERM at the end.
    stage.stack.callback(hangs.send_signal, signal.SIGCONT)
    hangs.send_signal(signal.SIGSTOP)
    yield


FAULT = Fault(
    name="backend-down",
    story="one of three instances dies, another hangs, and the last one gets all of the traffic",
    inject=inject,
    checks=("haproxy.servers-down",),
    subject=lambda names: names.backend,
    # Each instance serves two requests at once, as a small worker process does.
    topology=Topology(Service(instances=INSTANCES, workers=2, work_ms=20.0), Balancer(maxconn=2)),
    bar=None,
)
