"""A pool of three that is large enough: short waits now and then are what a pool is for."""

from lab.tiers import all_tiers
from scaledoctor.demo.fault import Fault, Pace
from scaledoctor.demo.faults.healthy import inject

FAULT = Fault(
    name="small-pool",
    story="thirty requests at a time share three connections, and hardly ever wait for one",
    inject=inject,
    topology=all_tiers({"default_pool_size": 3}),
    pace=Pace(clients=30, think_ms=60.0),
)
