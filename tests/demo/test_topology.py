"""The shop with a balancer and a pooler, and the orders that change them while they run."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest
import redis as client

from scaledoctor.demo import consoles
from scaledoctor.demo.load import run_load
from scaledoctor.demo.remedy import Applied, Ours, apply
from scaledoctor.demo.servers import PostgresServer
from scaledoctor.demo.shop import Names, Service
from scaledoctor.demo.topology import Balancer, Tiers, Topology, tiers
from scaledoctor.model import Fix
from scaledoctor.targets import targets
from tests.servers import needs_servers

pytestmark = pytest.mark.live

SMALL = replace(Names.from_seed(6), customer_rows=200, product_rows=50, order_rows=2_000)
TWO = Topology(Service(instances=2, workers=4), Balancer(maxconn=4), pooler={"max_client_conn": 90})


@pytest.fixture(scope="module")
def running(pg18: PostgresServer) -> Iterator[Tiers]:
    """Two instances behind HAProxy, before PgBouncer."""
    with needs_servers(), tiers(TWO, pg18, SMALL, lambda text: None) as all_of_it:
        yield all_of_it


def servers(running: Tiers) -> dict[str, dict[str, str]]:
    """What the balancer says of each of the shop's servers."""
    assert running.balancer is not None
    head, *lines = consoles.tell(running.balancer, "show stat").removeprefix("# ").splitlines()
    rows = [dict(zip(head.split(","), line.split(","), strict=True)) for line in lines]
    wanted = SMALL.servers(2)
    return {r["svname"]: r for r in rows if r["pxname"] == SMALL.backend and r["svname"] in wanted}


def pools(running: Tiers) -> dict[str, Any]:
    """The size of the pool of each user that has been there."""
    assert running.pooler is not None
    with psycopg.connect(running.pooler.dsn("stats", "pgbouncer"), autocommit=True) as console:
        return {row[1]: row for row in console.execute("SHOW POOLS")}


def shell(*commands: str) -> Fix:
    """A fix in shell."""
    return Fix("Do it", commands, language="shell")


def test_requests_go_through_every_tier(running: Tiers) -> None:
    """Both instances answer, and their statements go through the pooler."""
    url = running.shop.url
    result = run_load(url, clients=4, seconds=1, think_ms=10, mix=SMALL.mix())
    assert result.ok > 0
    assert result.errors == {}
    assert all(int(row["stot"]) > 0 for row in servers(running).values())
    assert SMALL.role_web in pools(running)
    assert httpx.get(f"{url}/ready").json() == {"status": "ready"}


def test_a_scan_is_given_every_tier(running: Tiers) -> None:
    """Each as a target of its own."""
    kinds = [target.kind for target in targets(running.targets, {})]
    assert kinds == ["host", "postgres", "pgbouncer", "haproxy"]


def test_a_delayed_instance_is_late_and_its_health_check_is_not(running: Tiers) -> None:
    """Only that one, and for all of its replies."""
    late, other = running.shop.instances
    late.delay(300)
    took = [
        httpx.get(f"http://{instance.address}{path}").elapsed.total_seconds()
        for instance, path in ((late, "/product/1"), (late, "/health"), (other, "/product/1"))
    ]
    late.delay(0)
    assert took[0] >= 0.3
    assert max(took[1:]) < took[0]


def test_the_pools_ini_lines_of_a_fix_are_written_and_loaded(running: Tiers) -> None:
    """A setting that a reload changes is in force; all others are for people."""
    assert running.pooler is not None
    lines = ("; there", "[pgbouncer]", "default_pool_size = 7", "listen_port = 1", "a = 2")
    done = apply(Fix("Pool", lines, language="ini"), Ours(pooler=running.pooler))
    assert [one.command for one in done if not one.problem] == ["default_pool_size = 7"]
    assert len(done) == 3
    with psycopg.connect(running.pooler.dsn("stats", "pgbouncer"), autocommit=True) as console:
        config = {row[0]: row[1] for row in console.execute("SHOW CONFIG")}
    assert (config["default_pool_size"], config["pool_mode"]) == ("7", "transaction")
    other = Fix("Pool", ("[databases]", "default_pool_size = 9"), language="ini")
    assert apply(other, Ours(pooler=running.pooler))[0].problem


def test_a_server_is_drained_as_the_report_says(running: Tiers) -> None:
    """On our own socket, which may also be called by its usual place; nothing else is obeyed."""
    assert running.balancer is not None
    ours = Ours(balancer=running.balancer)
    name = SMALL.servers(2)[1]
    order = f"echo 'set server {SMALL.backend}/{name} state %s' | socat stdio %s"
    drain = order % ("drain", "/run/haproxy/admin.sock")
    assert apply(shell(drain), ours) == (Applied(drain),)
    assert servers(running)[name]["status"] == "DRAIN"
    ready = order % ("ready", consoles.admin(running.balancer))
    assert apply(shell(ready), ours) == (Applied(ready),)
    assert servers(running)[name]["status"].startswith("UP")
    for strange in (
        order % ("drain", "/run/other.sock"),
        "echo 'shutdown sessions server a/b' | socat stdio /run/haproxy/admin.sock",
        f"{drain} ; rm -rf /",
    ):
        assert apply(shell(strange), ours) == (Applied(strange, "this is for people"),)
    missing = "echo 'set server a/b state drain' | socat stdio /run/haproxy/admin.sock"
    assert "No such" in apply(shell(missing), ours)[0].problem


def test_a_server_that_is_not_installed_is_told_with_its_install_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only if the topology has it."""
    monkeypatch.setattr("scaledoctor.demo.topology.find_haproxy", list)
    assert "haproxy is not installed" in Topology(balancer=Balancer()).missing()
    assert Topology().missing() == ""
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    assert "apt-get install pgbouncer" in Topology(pooler={}).missing()


def test_stores_are_targets_of_a_scan(pg18: PostgresServer) -> None:
    """A cache and a queue, each a Redis of its own, where a topology has them."""
    both = Topology(cache=("--maxmemory", "8mb"), queue=())
    names = replace(SMALL, database="stores")
    with needs_servers(), tiers(both, pg18, names, lambda text: None) as running:
        kinds = [target.kind for target in targets(running.targets, {})]
        assert httpx.get(f"{running.shop.url}/product/1/page").status_code == 200
        assert running.cache is not None
        with client.Redis(port=running.cache.port) as r:
            assert r.exists("page:1")
            assert r.info("memory")["maxmemory"] == 8 << 20
    assert kinds == ["host", "postgres", "redis", "redis"]
