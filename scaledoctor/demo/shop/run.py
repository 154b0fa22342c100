"""Start the shop: its schema on a server, and each instance of its service as a child."""

import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from scaledoctor.demo.servers import PostgresServer
from scaledoctor.demo.servers.child import Child, child, free_port
from scaledoctor.demo.servers.pg import dsn
from scaledoctor.demo.servers.workspace import workspace
from scaledoctor.demo.shop.config import ServiceConfig
from scaledoctor.demo.shop.names import Names
from scaledoctor.demo.shop.schema import create_shop


@dataclass(frozen=True, slots=True)
class Instance:
    """One process of the shop's service."""

    config: ServiceConfig
    child: Child

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.config.port}"

    def delay(self, milliseconds: float) -> None:
        """Make each of its replies late from now on; its health checks stay quick."""
        Path(self.config.late).write_text(str(milliseconds))


@dataclass(frozen=True, slots=True)
class Shop:
    """A running shop; `url` is where its clients go."""

    url: str
    names: Names
    server: PostgresServer
    instances: tuple[Instance, ...]

    @property
    def dsn_admin(self) -> str:
        """The shop's database as superuser."""
        return self.dsn_as("postgres")

    @property
    def dsn_scan(self) -> str:
        """The shop's database as the role for scans: pg_monitor, no superuser."""
        return self.dsn_as(self.names.role_scan)

    def dsn_as(self, role: str, application: str = "") -> str:
        """The shop's database as another role and application_name."""
        params = {"application_name": application} if application else {}
        return self.server.dsn(role, self.names.database, **params)


@dataclass(frozen=True, slots=True)
class Service:
    """The processes of the shop's service: how many, and each one's limits.

    `pool` is the most connections that each opens, None for the shop's own; for `workers` and
    `work_ms` see `ServiceConfig`.
    """

    instances: int = 1
    pool: int | None = None
    workers: int | None = None
    work_ms: float = 0.0


@contextmanager
def shop(
    server: PostgresServer,
    names: Names,
    *,
    service: Service = Service(),
    database_port: int | None = None,
    cache: int | None = None,
    queue: int | None = None,
) -> Iterator[Shop]:
    """Create the shop on `server` and run its service until the block ends.

    `database_port` is where the service finds its database when that is not the server itself but
    a pooler before it; `cache` and `queue` are the ports of a Redis for pages and of one for jobs.
    The database stays: an ephemeral server goes with all it holds.
    """
    create_shop(server, names)
    pool = service.pool or names.pool_size
    config = ServiceConfig(
        port=0,
        dsn=dsn(database_port or server.port, names.role_web, names.database),
        application_name=names.app_web,
        names=names,
        pool_min=min(2, pool),
        pool_max=pool,
        late="",
        workers=service.workers,
        work_ms=service.work_ms,
        cache=cache,
        queue=queue,
    )
    with ExitStack() as stack:
        started = [stack.enter_context(_instance(config)) for _ in range(service.instances)]
        yield Shop(f"http://{started[0].address}", names, server, tuple(started))


@contextmanager
def _instance(config: ServiceConfig) -> Iterator[Instance]:
    with workspace("shop") as folder:
        config = replace(config, port=free_port(), late=str(folder / "late"))
        line = ("-m", "scaledoctor.demo.shop.service", "--config", config.to_json())
        url = f"http://127.0.0.1:{config.port}"
        with child((sys.executable, *line), folder=folder, ready=lambda: _healthy(url)) as running:
            yield Instance(config, running)


def _healthy(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=1) as reply:  # noqa: S310  our own loopback URL
        return bool(reply.status == 200)
    return False
