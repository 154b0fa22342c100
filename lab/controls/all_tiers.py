"""Every tier in ordinary traffic: a balancer, three instances, a pooler."""

from lab.tiers import all_tiers
from scaledoctor.demo.fault import Fault
from scaledoctor.demo.faults.healthy import inject

FAULT = Fault(
    name="all-tiers",
    story="it is an ordinary hour of a shop with a balancer, three instances and a pooler",
    inject=inject,
    topology=all_tiers({}),
)
