"""What one scan costs a Redis with 1,000 and with 1,000,000 keys beside its queues."""

import time
from collections.abc import Mapping
from typing import Any

import redis as client

from scaledoctor.collect import collect
from scaledoctor.demo.servers import RedisServer, redis
from scaledoctor.redact import Redactor
from scaledoctor.registry import Registry, load
from scaledoctor.sources.queues import Queues
from scaledoctor.targets import targets

QUEUES = 10
WINDOW = 10.0


def fill(r: client.Redis, keys: int) -> None:
    """A cache of so many keys, and ten queues of RQ with a hundred jobs each."""
    for start in range(0, keys, 1000):
        r.mset({f"cache:{i}": "x" * 20 for i in range(start, min(start + 1000, keys))})
    for n in range(QUEUES):
        r.sadd("rq:queues", f"rq:queue:q{n}")
        r.rpush(f"rq:queue:q{n}", *range(100))
    r.sadd("_kombu.binding.celery", "celery\x06\x16\x06\x16celery")


def stats(r: client.Redis) -> Mapping[str, Any]:
    """Calls and microseconds by command, ours included."""
    found: Mapping[str, Any] = r.info("commandstats")
    return {name.removeprefix("cmdstat_"): row for name, row in found.items()}


def keys_seconds(r: client.Redis) -> float:
    """The same names by KEYS, which nobody else is served during: the peer."""
    r.config_resetstat()
    r.keys("rq:queue*")
    return float(stats(r)["keys"]["usec"]) / 1e6


def measure(server: RedisServer, registry: Registry, keys: int) -> dict[str, float]:
    """Return what one scan sent, what it took the server, and how long nobody else was served."""
    with client.Redis(port=server.port) as r:
        r.flushall()
        fill(r, keys)
        r.config_resetstat()
        began = time.monotonic()
        found = targets({"redis": [server.url(0)]}, {})[1:]
        (record,) = collect(found, registry, Redactor(), WINDOW).records
        wall, used = time.monotonic() - began, stats(r)
        forbidden = {"keys", "smembers", "hgetall", "monitor"} & set(used)
        if forbidden:
            raise SystemExit(f"a scan has sent {', '.join(sorted(forbidden))}")
        queues = record.samples[Queues.__name__][-1][1]
        return {
            "commands": sum(row["calls"] for row in used.values()),
            "of them SCAN": used["scan"]["calls"],
            "server ms": sum(row["usec"] for row in used.values()) / 1e3,
            "longest reading, ms": max(c.slowest for c in record.costs.values()) * 1e3,
            "one KEYS, ms": keys_seconds(r) * 1e3,
            "queues found": len(queues.queues),
            "all names seen": float(queues.complete),
            "wall s": wall,
        }


def main() -> None:
    """Print a line for each number and its ratio."""
    registry = load()
    with redis() as server:
        small, large = (measure(server, registry, n) for n in (1_000, 1_000_000))
    print(
        f"{f'one scan, window {WINDOW:g} s':22} {'1,000 keys':>12} {'1,000,000':>12} {'ratio':>7}"
    )
    for label, a in small.items():
        print(f"{label:22} {a:12.1f} {large[label]:12.1f} {large[label] / a if a else 0:7.2f}")


if __name__ == "__main__":
    main()
