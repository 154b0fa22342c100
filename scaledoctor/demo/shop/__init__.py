"""A small shop that is real: PostgreSQL tables with rows, an HTTP service with a pool."""

from scaledoctor.demo.shop.names import Names
from scaledoctor.demo.shop.run import Instance, Service, Shop, shop

__all__ = ["Instance", "Names", "Service", "Shop", "shop"]
