"""A forgotten transaction, seen through all tiers: the pool is full and the balancer queues."""

from lab.tiers import all_tiers
from scaledoctor.demo.fault import Fault
from scaledoctor.demo.faults.idle_in_transaction import inject
from scaledoctor.demo.topology import Balancer

FAULT = Fault(
    name="lock-through-tiers",
    story="a nightly job forgets to commit, behind a pooler and a balancer",
    inject=inject,
    checks=("postgres.idle-in-transaction",),
    subject=lambda names: names.app_worker,
    symptoms=("postgres.connection-hog",),
    topology=all_tiers({"default_pool_size": 10}, Balancer(maxconn=4)),
)
