"""What the service asks its database, one function for each route.

Statements go out as bytes: psycopg takes only literal strings, and these hold the shop's names.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, parse_qs

from psycopg import Connection
from psycopg_pool import ConnectionPool

from scaledoctor.demo.shop.listing import newest
from scaledoctor.demo.shop.names import Names
from scaledoctor.demo.shop.store import Store

Content = dict[str, object]

STYLE = ".a {color: #333; margin: 0 auto}" * 230
"""As pages have it: some 8 kB."""

CHECKS = ("/health", "/ready")
"""The routes of health checks."""


class NotFound(Exception):  # noqa: N818  an answer to the client, not a failure
    """There is no such route or row."""


def answer(
    pool: ConnectionPool[Connection[tuple[Any, ...]]],
    store: Store,
    names: Names,
    method: str,
    url: SplitResult,
) -> Content:
    """The content for a request.

    Raises `NotFound`, PoolTimeout when no connection is free, psycopg.Error and RedisError.
    """
    work: Work
    match [method, *url.path.strip("/").split("/")]:
        case ["GET", "health"]:
            return {"status": "up"}
        case ["GET", "ready"]:
            work = _ready
        case ["GET", "product", key] if key.isdigit():
            work = _product(names, int(key))
        case ["GET", "product", key, "page"] if key.isdigit():
            return {"page": store.page(int(key), lambda: _made(pool, names, int(key)))}
        case ["GET", "customer", key, "orders"] if key.isdigit():
            work = _customer_orders(names, int(key))
        case ["GET", "orders"]:
            work = newest(names)
        case ["POST", "order"]:
            with pool.connection() as connection:
                placed = _order(names, *_keys(url.query))(connection)
            store.later(placed)
            return {"id": placed}
        case _:
            raise NotFound(f"no route {method} {url.path}")
    with pool.connection() as connection:
        return work(connection)


Work = Callable[[Connection[tuple[Any, ...]]], Content]
Order = Callable[[Connection[tuple[Any, ...]]], int]


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


def _made(pool: ConnectionPool[Connection[tuple[Any, ...]]], names: Names, key: int) -> str:
    """A page with what others bought who bought this: dear to find, and the same for hours."""
    orders, who, what = names.table(names.orders), names.customer_key, names.product_key
    statement = (
        f"SELECT b.{what}, count(*) FROM {orders} a JOIN {orders} b ON b.{who} = a.{who}"
        f" WHERE a.{what} = %s AND b.{what} <> a.{what}"
        f" GROUP BY b.{what} ORDER BY count(*) DESC, b.{what} LIMIT 5"
    )
    with pool.connection() as connection:
        rows = connection.execute(statement.encode(), (key,)).fetchall()
    shelf = "".join(f"<li><a href='/product/{row[0]}'>{row[1]} times</a></li>" for row in rows)
    return f"<html><style>{STYLE}</style><h1>{key}</h1><ul>{shelf}</ul></html>"


def _order(names: Names, customer: int, product: int) -> Order:
    insert = (
        f"INSERT INTO {names.table(names.orders)}"
        f" ({names.customer_key}, {names.product_key}, quantity, total_cents, status)"
        " VALUES (%s, %s, 1, 1000, 'new') RETURNING id"
    )
    take = (
        f"UPDATE {names.table(names.inventory)} SET {names.stock} = {names.stock} - 1 WHERE id = %s"
    )

    def work(connection: Connection[tuple[Any, ...]]) -> int:
        with connection.transaction():
            row = connection.execute(insert.encode(), (customer, product)).fetchone()
            connection.execute(take.encode(), (product,))
        assert row is not None
        return int(row[0])

    return work
