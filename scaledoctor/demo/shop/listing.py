"""A page with a list, written as lazy loading does: each row asks for what belongs to it."""

from collections.abc import Callable
from typing import Any

from psycopg import Connection

from scaledoctor.demo.shop.names import Names


def newest(names: Names) -> Callable[[Connection[tuple[Any, ...]]], dict[str, object]]:
    """The newest orders of a customer each, whose name is looked up order by order."""
    orders = (
        f"SELECT id, total_cents, {names.customer_key} FROM {names.table(names.orders)}"
        " ORDER BY id DESC LIMIT 30"
    )
    customer = f"SELECT name, email FROM {names.table(names.customers)} WHERE id = %s"

    def work(connection: Connection[tuple[Any, ...]]) -> dict[str, object]:
        rows = connection.execute(orders.encode()).fetchall()
        found = [connection.execute(customer.encode(), (row[2],)).fetchone() for row in rows]
        return {
            "orders": [
                {"id": row[0], "cents": row[1], "customer": one and one[0]}
                for row, one in zip(rows, found, strict=True)
            ]
        }

    return work
