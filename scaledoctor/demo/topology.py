"""The shop's tiers: a balancer before the instances of its service, a pooler behind them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from scaledoctor.demo import consoles
from scaledoctor.demo.servers import (
    Haproxy,
    PgBouncer,
    PostgresServer,
    RedisServer,
    ServerMissing,
    balancer_cfg,
    find_haproxy,
    find_redis,
    haproxy,
    pgbouncer,
    redis,
)
from scaledoctor.demo.servers.bouncer import INSTALL_LINE as PGBOUNCER
from scaledoctor.demo.servers.child import program
from scaledoctor.demo.servers.haproxy import INSTALL_LINE as HAPROXY
from scaledoctor.demo.servers.pg import Settings
from scaledoctor.demo.servers.redis import INSTALL_LINE as REDIS
from scaledoctor.demo.shop import Instance, Names, Service, Shop, shop
from scaledoctor.targets import Given

CHECK_EVERY = ("inter 300ms", "fall 2", "rise 2")
"""Health checks in a hurry: HAProxy's own 2 s and 3 failures would take most of a scan."""

ADMIN = 'stats socket "${SOCKET}.admin" mode 600 level admin'


@dataclass(frozen=True, slots=True)
class Balancer:
    """How HAProxy spreads requests, what its health checks ask, and what each server may have.

    `maxconn` is the most requests that a server gets at once, the others wait in the balancer;
    None: no limit.
    """

    algorithm: str = "roundrobin"
    health: str = "/health"
    maxconn: int | None = None


@dataclass(frozen=True, slots=True)
class Topology:
    """What stands between the clients and PostgreSQL.

    Without a `balancer` the clients go to the first instance; without a `pooler`, which are
    PgBouncer's settings, the service goes to PostgreSQL directly. `cache` and `queue` are the
    command lines of a Redis for pages and of one for jobs; without them pages are made each time,
    and nothing is left for later.
    """

    service: Service = field(default_factory=Service)
    balancer: Balancer | None = None
    pooler: Settings | None = None
    cache: Sequence[str] | None = None
    queue: Sequence[str] | None = None

    def missing(self) -> str:
        """What is not installed that it needs, and how to get it; or nothing."""
        try:
            if self.pooler is not None:
                program("pgbouncer", install_line=PGBOUNCER)
            if self.balancer is not None and not find_haproxy():
                raise ServerMissing("haproxy is not installed", HAPROXY)
            if (self.cache is not None or self.queue is not None) and not find_redis():
                raise ServerMissing("neither Redis nor Valkey is installed", REDIS)
        except ServerMissing as reason:
            return str(reason)
        return ""


@dataclass(frozen=True, slots=True)
class Tiers:
    """What runs; the shop's `url` is that of the balancer where there is one."""

    shop: Shop
    balancer: Haproxy | None = None
    pooler: PgBouncer | None = None
    cache: RedisServer | None = None
    queue: RedisServer | None = None

    @property
    def targets(self) -> Given:
        """What a scan shall look at."""
        found = {"dsn": [self.shop.dsn_scan]}
        if self.balancer:
            found["haproxy"] = [f"unix:{consoles.admin(self.balancer)}"]
        if self.pooler:
            found["pgbouncer"] = [self.pooler.dsn("stats", "pgbouncer")]
        if stores := [server.url() for server in (self.cache, self.queue) if server]:
            found["redis"] = stores
        return found


@contextmanager
def tiers(
    topology: Topology, server: PostgresServer, names: Names, tell: Callable[[str], None]
) -> Iterator[Tiers]:
    """Start the shop on `server` with its balancer and its pooler until the block ends."""
    with ExitStack() as stack:
        service, port, pooler, balancer = topology.service, None, None, None
        if topology.pooler is not None:
            pooler = stack.enter_context(pgbouncer(server.port, ini=topology.pooler))
            port = pooler.port
            tell("PgBouncer pools the connections of the service")
        cache, queue = (_store(words, stack) for words in (topology.cache, topology.queue))
        place = stack.enter_context(
            shop(
                server,
                names,
                service=service,
                database_port=port,
                cache=cache.port if cache else None,
                queue=queue.port if queue else None,
            )
        )
        if topology.balancer is not None:
            cfg = _cfg(topology.balancer, place.instances, names)
            balancer = stack.enter_context(haproxy(cfg))
            place = replace(place, url=balancer.url)
            tell(f"HAProxy spreads the requests over {service.instances} instances")
        yield Tiers(place, balancer, pooler, cache, queue)


def _store(words: Sequence[str] | None, stack: ExitStack) -> RedisServer | None:
    return None if words is None else stack.enter_context(redis(words))


def _cfg(balancer: Balancer, instances: tuple[Instance, ...], names: Names) -> str:
    options = ["weight 100", "check", *CHECK_EVERY]
    if balancer.maxconn is not None:
        options.append(f"maxconn {balancer.maxconn}")
    servers = [
        f"server {name} {instance.address} {' '.join(options)}"
        for name, instance in zip(names.servers(len(instances)), instances, strict=True)
    ]
    head = (f"balance {balancer.algorithm}", f"option httpchk GET {balancer.health}")
    return balancer_cfg({names.backend: (*head, *servers)}, extra_global=(ADMIN,))
