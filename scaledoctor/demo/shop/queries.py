"""What the service asks its database, one function for each route.

Statements go out as bytes: psycopg takes only literal strings, and these hold the shop's names.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, parse_qs

from psycopg import Connection
from psycopg_pool import ConnectionPool

from scaledoctor.demo.shop.names import Names

Content = dict[str, object]

CHECKS = ("/health", "/ready")
"""The routes of health checks."""


class NotFound(Exception):  # noqa: N818  an answer to the client, not a failure
    """There is no such route or row."""


def answer(
    pool: ConnectionPool[Connection[tuple[Any, ...]]], names: Names, method: str, url: SplitResult
) -> Content:
    """The content for a request.

    Raises `NotFound`, PoolTimeout when no connection is free, and psycopg.Error.
    """
    work: Work
    match [method, *url.path.strip("/").split("/")]:
        case ["GET", "health"]:
            return {"status": "up"}
        case ["GET", "ready"]:
            work = _ready
        case ["GET", "product", key] if key.isdigit():
            work = _product(names, int(key))
        case ["GET", "customer", key, "orders"] if key.isdigit():
            work = _customer_orders(names, int(key))
        case ["POST", "order"]:
            work = _order(names, *_keys(url.query))
        case _:
            raise NotFound(f"no route {method} {url.path}")
    with pool.connection() as connection:
        return work(connection)


Work = Callable[[Connection[tuple[Any, ...]]], Content]


def _keys(query: str) -> tuple[int, int]:
    fields = parse_qs(query)
    try:
        return int(fields["customer"][0]), int(fields["product"][0])
    except (KeyError, ValueError):
        raise NotFound("an order needs customer=ID and product=ID") from None


def _ready(connection: Connection[tuple[Any, ...]]) -> Content:
    connection.execute("SELECT 1")
    return {"status": "ready"}


def _product(names: Names, key: int) -> Work:
    statement = (
        f"SELECT p.name, p.price_cents, p.{names.stock},"
        f" (SELECT max(o.id) FROM {names.table(names.orders)} o WHERE o.{names.product_key} = p.id)"
        f" FROM {names.table(names.inventory)} p WHERE p.id = %s"
    )

    def work(connection: Connection[tuple[Any, ...]]) -> Content:
        row = connection.execute(statement.encode(), (key,)).fetchone()
        if row is None:
            raise NotFound(f"no product {key}")
        return {"name": row[0], "price_cents": row[1], "stock": row[2], "last_order": row[3]}

    return work


def _customer_orders(names: Names, key: int) -> Work:
    statement = (
        "SELECT o.id, o.total_cents, o.status, p.name"
        f" FROM {names.table(names.orders)} o"
        f" JOIN {names.table(names.inventory)} p ON p.id = o.{names.product_key}"
        f" WHERE o.{names.customer_key} = %s ORDER BY o.id DESC LIMIT 20"
    )

    fields = ("id", "cents", "status", "product")

    def work(connection: Connection[tuple[Any, ...]]) -> Content:
        rows = connection.execute(statement.encode(), (key,)).fetchall()
        return {"orders": [dict(zip(fields, row, strict=True)) for row in rows]}

    return work


def _order(names: Names, customer: int, product: int) -> Work:
    insert = (
        f"INSERT INTO {names.table(names.orders)}"
        f" ({names.customer_key}, {names.product_key}, quantity, total_cents, status)"
        " VALUES (%s, %s, 1, 1000, 'new') RETURNING id"
    )
    take = (
        f"UPDATE {names.table(names.inventory)} SET {names.stock} = {names.stock} - 1 WHERE id = %s"
    )

    def work(connection: Connection[tuple[Any, ...]]) -> Content:
        with connection.transaction():
            row = connection.execute(insert.encode(), (customer, product)).fetchone()
            connection.execute(take.encode(), (product,))
        return {"id": row and row[0]}

    return work
