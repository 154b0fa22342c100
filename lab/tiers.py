"""Shops of several tiers, as the lab's cases use them."""

from collections.abc import Mapping

from scaledoctor.demo.servers.pg import Settings
from scaledoctor.demo.shop import Names, Service
from scaledoctor.demo.topology import Balancer, Topology

INSTANCES = 3
PLAIN = Balancer()


def all_tiers(pooler: Settings, balancer: Balancer = PLAIN) -> Topology:
    """A balancer, three instances and a pooler with those settings."""
    return Topology(Service(instances=INSTANCES), balancer, pooler)


def orders(names: Names) -> Mapping[str, float]:
    """Half of the requests are orders."""
    return {
        f"GET /product/{{{names.product_rows}}}": 50,
        f"POST /order?customer={{{names.customer_rows}}}&product={{{names.product_rows}}}": 50,
    }
