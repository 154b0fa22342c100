"""A cache that works is emptied again and again."""

from collections.abc import Iterator
from contextlib import contextmanager

from lab.programs import WORKER
from scaledoctor.demo.fault import Fault
from scaledoctor.demo.faults import cache_evictions
from scaledoctor.demo.stage import Stage


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Empty it every half a second, as a job does that wants to be sure."""
    assert stage.tiers.cache is not None
    stage.work("flush", program=WORKER, port=stage.tiers.cache.port, pause=0.5)
    yield


FAULT = Fault(
    name="cache-flushed",
    story="a price import empties the whole cache after each product",
    inject=inject,
    checks=("redis.flushed",),
    subject=lambda names: "FLUSHALL",
    symptoms=cache_evictions.FAULT.symptoms,
    topology=cache_evictions.FAULT.topology,
    pace=cache_evictions.FAULT.pace,
    warm=cache_evictions.FAULT.warm,
    bar=None,
)
