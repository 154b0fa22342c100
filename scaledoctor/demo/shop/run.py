"""Start the shop: its schema on a server, and its service as a child."""

import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from scaledoctor.demo.servers import PostgresServer
from scaledoctor.demo.servers.child import child, free_port
from scaledoctor.demo.servers.pg import dsn
from scaledoctor.demo.servers.workspace import workspace
from scaledoctor.demo.shop.config import ServiceConfig
from scaledoctor.demo.shop.names import Names
from scaledoctor.demo.shop.schema import create_shop


@dataclass(frozen=True, slots=True)
class Shop:
    """A running shop; `pid` is the service's process, `log` its stderr."""

    url: str
    names: Names
    server: PostgresServer
    pid: int
    log: Path

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


@contextmanager
def shop(
    server: PostgresServer, names: Names, *, database_port: int | None = None
) -> Iterator[Shop]:
    """Create the shop on `server` and run its service until the block ends.

    `database_port` is where the service finds its database when that is not the server itself but
    a pooler before it. The database stays: an ephemeral server goes with all it holds.
    """
    create_shop(server, names)
    config = ServiceConfig(
        port=free_port(),
        dsn=dsn(database_port or server.port, names.role_web, names.database),
        application_name=names.app_web,
        names=names,
        pool_min=2,
        pool_max=names.pool_size,
    )
    command = (sys.executable, "-m", "scaledoctor.demo.shop.service", "--config", config.to_json())
    url = f"http://127.0.0.1:{config.port}"
    with (
        workspace("shop") as folder,
        child(command, folder=folder, ready=lambda: _healthy(url)) as service,
    ):
        yield Shop(url, names, server, service.pid, service.log)


def _healthy(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=1) as reply:  # noqa: S310  our own loopback URL
        return bool(reply.status == 200)
    return False
