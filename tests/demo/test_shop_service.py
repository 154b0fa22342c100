"""The shop on a real server: its schema, its routes, and how it bears a sick database."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest
import redis as client

from scaledoctor.demo.servers import PostgresServer, postgres, redis
from scaledoctor.demo.shop import Names, Shop, shop
from tests.servers import StartPgBouncer, needs_servers

pytestmark = pytest.mark.live

SMALL = replace(
    Names.from_seed(3), customer_rows=200, product_rows=50, order_rows=2_000, pool_size=3
)


@pytest.fixture(scope="module")
def running(postgres_server: PostgresServer) -> Iterator[Shop]:
    """A small shop with drawn names on each version."""
    with shop(postgres_server, SMALL) as small:
        yield small


def ask(url: str, method: str = "GET") -> tuple[int, dict[str, Any]]:
    """Status and content of a reply."""
    reply = httpx.request(method, url, timeout=10)
    return reply.status_code, reply.json()


def asks_until(url: str, status: int) -> tuple[int, dict[str, Any]]:
    """Ask until that status comes, for at most 15 seconds; the last reply."""
    deadline = time.monotonic() + 15
    while (reply := ask(url))[0] != status and time.monotonic() < deadline:
        time.sleep(0.1)
    return reply


def stock(running: Shop, product: int) -> int:
    """What the database has of a product."""
    names = running.names
    with psycopg.connect(running.dsn_admin) as connection:
        table = names.table(names.inventory)
        statement = f"SELECT {names.stock} FROM {table} WHERE id = %s"
        row = connection.execute(statement.encode(), (product,)).fetchone()
    assert row is not None
    return int(row[0])


def test_the_newest_orders_come_with_their_customers(running: Shop) -> None:
    """Thirty of them, each customer by its own statement: the fault of that page."""
    status, content = ask(f"{running.url}/orders")
    assert (status, len(content["orders"])) == (200, 30)
    assert all(order["customer"].startswith("Name ") for order in content["orders"])


def test_reading_routes_answer_from_the_database(running: Shop) -> None:
    """Health, a product and a customer's orders are there."""
    assert ask(f"{running.url}/health") == (200, {"status": "up"})
    status, product = ask(f"{running.url}/product/7")
    assert (status, product["name"]) == (200, "Article 7")
    status, content = ask(f"{running.url}/customer/7/orders")
    assert (status, len(content["orders"])) == (200, 10)


def test_an_order_is_stored_and_takes_stock(running: Shop) -> None:
    """POST /order inserts a row that the customer then sees, and lowers the stock by one."""
    before = stock(running, 9)
    status, order = ask(f"{running.url}/order?customer=8&product=9", "POST")
    assert status == 200
    assert stock(running, 9) == before - 1
    orders = ask(f"{running.url}/customer/8/orders")[1]["orders"]
    assert order["id"] in {each["id"] for each in orders}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/product/999999"), ("GET", "/nope"), ("POST", "/order?customer=x")],
)
def test_what_is_not_there_is_404(running: Shop, method: str, path: str) -> None:
    """An unknown row, route or key is the client's fault."""
    status, content = ask(running.url + path, method)
    assert status == 404
    assert content["error"]


def test_the_service_names_itself(running: Shop) -> None:
    """Its sessions carry the application's name and a role without superuser rights."""
    ask(f"{running.url}/product/1")
    with psycopg.connect(running.dsn_admin) as connection:
        rows = connection.execute(
            "SELECT DISTINCT application_name, usename, rolsuper FROM pg_stat_activity"
            " JOIN pg_roles ON rolname = usename WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        ).fetchall()
    assert rows == [(SMALL.app_web, SMALL.role_web, False)]


def test_the_scan_role_may_look_and_change_nothing(running: Shop) -> None:
    """It sees others' statements by pg_monitor and plans by pg_read_all_data; it cannot write."""
    ask(f"{running.url}/product/1")
    with psycopg.connect(running.dsn_scan, autocommit=True) as connection:
        seen = connection.execute(
            "SELECT count(*) FROM pg_stat_statements WHERE query LIKE 'SELECT p.name%'"
        ).fetchone()
        assert seen is not None
        assert seen[0] > 0
        table = SMALL.table(SMALL.customers)
        connection.execute(f"EXPLAIN SELECT FROM {table}".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"DELETE FROM {table} WHERE false".encode())


def test_a_blocked_table_gives_503_and_the_shop_recovers(running: Shop) -> None:
    """Requests beyond the pool fail while a lock holds all its connections, and no longer after."""
    url = f"{running.url}/product/1"
    with psycopg.connect(running.dsn_admin) as blocker, ThreadPoolExecutor() as clients:
        blocker.execute(f"LOCK TABLE {SMALL.table(SMALL.inventory)}".encode())
        replies = [clients.submit(ask, url) for _ in range(SMALL.pool_size + 1)]
        status, content = next(as_completed(replies)).result()
        assert (status, content["error"]) == (503, "no connection from the pool within 2 s")
        blocker.rollback()
        assert sorted(reply.result()[0] for reply in replies) == [200, 200, 200, 503]
    assert ask(url)[0] == 200


def test_a_full_server_gives_503_and_the_shop_recovers(pg18: PostgresServer) -> None:
    """When every slot is taken new pool connections are refused; freed slots are found again."""
    with (
        postgres(bindir=pg18.bindir, settings={"max_connections": 12}) as server,
        shop(server, SMALL) as small,
    ):
        assert ask(f"{small.url}/product/1")[0] == 200
        with ExitStack() as slots:
            deadline = time.monotonic() + 15
            while (reply := ask(f"{small.url}/product/1"))[0] == 200:
                assert time.monotonic() < deadline
                with suppress(psycopg.OperationalError):
                    slots.enter_context(psycopg.connect(server.dsn()))
            status, content = reply
            assert status == 503
            assert "pool" in content["error"]
        assert asks_until(f"{small.url}/product/1", 200)[0] == 200


def test_the_shop_runs_behind_a_pooler(
    pg18: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """With a pooler's port the service's statements go through it."""
    pooler = start_pgbouncer(pg18)
    with shop(pg18, SMALL, database_port=pooler.port) as small:
        assert ask(f"{small.url}/order?customer=1&product=1", "POST")[0] == 200
        with psycopg.connect(pooler.dsn("stats", "pgbouncer"), autocommit=True) as console:
            users = {row[1] for row in console.execute("SHOW POOLS")}
    assert SMALL.role_web in users


def test_pages_and_jobs_without_a_redis(running: Shop) -> None:
    """A page is made each time, the same; an order leaves nothing for later."""
    status, first = ask(f"{running.url}/product/7/page")
    assert status == 200
    assert "<h1>7</h1>" in first["page"]
    assert ask(f"{running.url}/product/7/page") == (200, first)
    assert ask(f"{running.url}/order?customer=3&product=4", "POST")[0] == 200


def test_a_page_is_kept_and_a_job_is_left(pg18: PostgresServer) -> None:
    """The second time the database is not asked; one job for each order; 503 without the cache."""
    with ExitStack() as stack:
        with needs_servers():
            cache, queue = stack.enter_context(redis()), stack.enter_context(redis())
        names = replace(SMALL, database="kept")
        place = shop(pg18, names, cache=cache.port, queue=queue.port)
        url = stack.enter_context(place).url
        kept = stack.enter_context(client.Redis(port=cache.port))
        jobs = stack.enter_context(client.Redis(port=queue.port))
        _, page = ask(f"{url}/product/7/page")
        assert kept.get("page:7") == page["page"].encode()
        kept.set("page:7", "from the cache")
        assert ask(f"{url}/product/7/page")[1] == {"page": "from the cache"}
        _, placed = ask(f"{url}/order?customer=3&product=4", "POST")
        left: Any = jobs.xrange(names.jobs)
        assert [job for _, job in left] == [{b"order": str(placed["id"]).encode()}]
        kept.shutdown(nosave=True)
        assert ask(f"{url}/product/7/page")[0] == 503
