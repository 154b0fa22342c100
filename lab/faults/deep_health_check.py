"""A health check that asks the database takes every server out at once."""

from lab.tiers import all_tiers
from scaledoctor.demo.fault import Fault
from scaledoctor.demo.faults.idle_in_transaction import inject
from scaledoctor.demo.topology import Balancer

FAULT = Fault(
    name="deep-health-check",
    story="a lock fills the pools, the health checks ask the database, and no server is left",
    inject=inject,
    checks=("postgres.idle-in-transaction",),
    subject=lambda names: names.app_worker,
    symptoms=("postgres.connection-hog",),
    topology=all_tiers({}, Balancer(health="/ready")),
)
