"""A full cache that answers, and a burst of jobs that the workers are done with soon."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from lab.programs import WORKER
from scaledoctor.demo.fault import Fault, Pace
from scaledoctor.demo.faults import too_few_workers
from scaledoctor.demo.shop import Names
from scaledoctor.demo.stage import Stage
from scaledoctor.demo.topology import Topology

JOBS = 120
"""Three seconds of work for all workers."""

ROOM = ("--maxmemory", "6mb", "--maxmemory-policy", "allkeys-lru")
"""For the pages that are asked for, and some that nobody asks for again."""


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Put the burst in, and keep filling the cache with what is not asked for again."""
    import redis

    assert stage.tiers.queue is not None
    assert stage.tiers.cache is not None
    stage.work("clutter", program=WORKER, port=stage.tiers.cache.port, size=4_000, pause=0.02)
    with redis.Redis(port=stage.tiers.queue.port) as queue:
        for order in range(1, JOBS + 1):
            queue.xadd(stage.names.jobs, {"order": order})
    yield


def mix(names: Names) -> Mapping[str, float]:
    """Pages and orders."""
    return {**names.pages(), **too_few_workers.mix(names)}


FAULT = Fault(
    name="burst",
    story="the cache is full and throws out old pages, and a newsletter is put in as one burst",
    inject=inject,
    topology=Topology(cache=ROOM, queue=()),
    prepare=too_few_workers.prepare,
    pace=Pace(clients=8, think_ms=50.0, mix=mix),
    window=12.0,
    warm=4.0,
)
