"""Everything about the shop that has a name or a size, so that nothing else knows them by heart."""

import random
from dataclasses import dataclass

from scaledoctor.demo.shop import words

SCAN_ROLE = "scaledoctor"


@dataclass(frozen=True, slots=True)
class Names:
    """Names of tables, columns, roles and applications, and the sizes of the shop and its load.

    All identifiers are lower case and need no quoting. `app_*` are values of application_name,
    `role_*` login roles; the migrator's role owns the tables. `backend` is the balancer's group of
    servers, `server` how the name of each begins. Times are in milliseconds.
    """

    seed: int
    database: str
    schema: str
    customers: str
    inventory: str
    orders: str
    customer_key: str
    product_key: str
    stock: str
    app_web: str
    app_reports: str
    app_worker: str
    app_migrator: str
    app_analytics: str
    role_web: str
    role_reports: str
    role_worker: str
    role_migrator: str
    role_analytics: str
    role_scan: str
    customer_rows: int
    product_rows: int
    order_rows: int
    pool_size: int
    clients: int
    think_ms: int
    weight_product: int
    weight_customer: int
    weight_order: int
    backend: str
    server: str

    @classmethod
    def from_seed(cls, seed: int) -> "Names":
        """Seed 0 is the default shop; every other seed draws names, sizes and rates."""
        draw = random.Random(seed)
        return _shop() if seed == 0 else _drawn(seed, draw)

    def table(self, name: str) -> str:
        """`name` with its schema before it."""
        return f"{self.schema}.{name}"

    def servers(self, count: int) -> list[str]:
        """The names of the balancer's servers."""
        return [f"{self.server}{number}" for number in range(1, count + 1)]

    def unlucky(self, count: int) -> int:
        """Which of so many servers, from 0, a fault hits."""
        return self.seed % count

    @property
    def jobs(self) -> str:
        """The stream of jobs, one for each order; the workers are a group of the worker's name."""
        return f"{self.orders}:mail"

    @property
    def customer_index(self) -> str:
        """The index that the route for a customer's orders lives on."""
        return f"{self.orders}_{self.customer_key}_idx"

    @property
    def product_index(self) -> str:
        """The index on the product key and id of the orders table."""
        return f"{self.orders}_{self.product_key}_idx"

    def pages(self) -> dict[str, float]:
        """Traffic of which most is pages that are dear to make, of the most popular products."""
        return {
            f"GET /product/{{{self.product_rows // 3}}}/page": 95,
            f"GET /product/{{{self.product_rows}}}": 5,
        }

    def mix(self) -> dict[str, float]:
        """The healthy traffic: request templates for `scaledoctor.demo.load`, with weights."""
        return {
            f"GET /product/{{{self.product_rows}}}": self.weight_product,
            f"GET /customer/{{{self.customer_rows}}}/orders": self.weight_customer,
            f"POST /order?customer={{{self.customer_rows}}}&product={{{self.product_rows}}}": (
                self.weight_order
            ),
        }


def _shop() -> Names:
    apps = ("shop-web", "reports", "billing-worker", "migrator", "analytics")
    rows, rates, weights = (20_000, 1_000, 200_000), (8, 16, 50), (60, 30, 10)
    return _named(0, words.SHOP, "public", apps, rows, rates, weights, ("shop", "web"))


def _drawn(seed: int, draw: random.Random) -> Names:
    trade = draw.choice(words.TRADES)
    lists = (words.WEB, words.REPORTS, words.WORKERS, words.MIGRATORS, words.ANALYTICS)
    apps = tuple(draw.choice(names) for names in lists)
    rows = (
        draw.randrange(15_000, 25_000, 100),
        draw.randrange(600, 1_500, 10),
        draw.randrange(160_000, 240_000, 1_000),
    )
    rates = (draw.randint(6, 12), draw.randint(12, 20), draw.randint(45, 65))
    weights = (draw.randint(50, 65), draw.randint(25, 35), draw.randint(8, 14))
    schema = draw.choice(words.SCHEMAS)
    tiers = (draw.choice(words.BACKENDS), draw.choice(words.SERVERS))
    return _named(seed, trade, schema, apps, rows, rates, weights, tiers)


def _named(
    seed: int,
    trade: words.Trade,
    schema: str,
    apps: tuple[str, ...],
    rows: tuple[int, int, int],
    rates: tuple[int, int, int],
    weights: tuple[int, int, int],
    tiers: tuple[str, str],
) -> Names:
    web, reports, worker, migrator, analytics = apps
    roles = [app.replace("-", "_") for app in apps]
    return Names(
        seed=seed,
        database=trade.database,
        schema=schema,
        customers=trade.customers,
        inventory=trade.inventory,
        orders=trade.orders,
        customer_key=trade.customer_key,
        product_key=trade.product_key,
        stock=trade.stock,
        app_web=web,
        app_reports=reports,
        app_worker=worker,
        app_migrator=migrator,
        app_analytics=analytics,
        role_web=roles[0],
        role_reports=roles[1],
        role_worker=roles[2],
        role_migrator=roles[3],
        role_analytics=roles[4],
        role_scan=SCAN_ROLE,
        customer_rows=rows[0],
        product_rows=rows[1],
        order_rows=rows[2],
        pool_size=rates[0],
        clients=rates[1],
        think_ms=rates[2],
        weight_product=weights[0],
        weight_customer=weights[1],
        weight_order=weights[2],
        backend=tiers[0],
        server=tiers[1],
    )
