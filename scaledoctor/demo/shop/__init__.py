"""A small shop that is real: PostgreSQL tables with rows, an HTTP service with a pool."""

from scaledoctor.demo.shop.names import Names
from scaledoctor.demo.shop.run import Shop, shop

__all__ = ["Names", "Shop", "shop"]
