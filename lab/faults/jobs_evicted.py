"""Jobs and a cache share a server that evicts: what is thrown out may be the jobs."""

from collections.abc import Iterator
from contextlib import contextmanager

from lab.programs import WORKER
from scaledoctor.demo.fault import Fault
from scaledoctor.demo.faults import too_few_workers
from scaledoctor.demo.stage import Stage
from scaledoctor.demo.topology import Topology

SHARED = ("--maxmemory", "6mb", "--maxmemory-policy", "allkeys-lru")


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Let another service keep its pages there too."""
    assert stage.tiers.queue is not None
    stage.work("clutter", program=WORKER, port=stage.tiers.queue.port, size=20_000, pause=0.005)
    yield


FAULT = Fault(
    name="jobs-evicted",
    story="another service begins to keep its pages in the server that holds the jobs",
    inject=inject,
    checks=("redis.evicts-jobs",),
    subject=lambda names: f"{names.jobs}/{names.app_worker}",
    topology=Topology(queue=SHARED),
    prepare=too_few_workers.prepare,
    pace=too_few_workers.FAULT.pace,
    hurts=None,
    bar=None,
)
