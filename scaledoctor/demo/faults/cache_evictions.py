"""The cache of pages gets less memory than the pages that are asked for need."""

from collections.abc import Iterator
from contextlib import contextmanager

from scaledoctor.demo import consoles
from scaledoctor.demo.fault import Fault, Pace
from scaledoctor.demo.shop import Names
from scaledoctor.demo.stage import Stage
from scaledoctor.demo.topology import Topology

ROOM = ("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")
"""For all pages, some 3 MB, and more: nothing is thrown out."""

SMALL = "2mb"
"""An empty server takes more than the half of it."""


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Shrink the cache, as a move to a smaller machine does."""
    if stage.tiers.cache:
        consoles.change(stage.tiers.cache, "maxmemory", SMALL)
    yield


FAULT = Fault(
    name="cache-evictions",
    story=f"the cache of pages moves to a smaller machine, with {SMALL} for it",
    inject=inject,
    checks=("redis.evictions",),
    subject=lambda names: "maxmemory",
    symptoms=("postgres.cpu-bound", "postgres.statement-share"),
    topology=Topology(cache=ROOM),
    pace=Pace(clients=16, think_ms=10.0, mix=Names.pages),
    warm=4.0,
)
