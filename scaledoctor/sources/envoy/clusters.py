"""Envoy's clusters: /clusters for hosts and limits, /config_dump for how they are balanced."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scaledoctor.sdk import Cadence, Unavailable, fact, probe
from scaledoctor.sources.envoy.session import EnvoySession
from scaledoctor.sources.proxies import (
    InHand,
    Policy,
    ProxyGroup,
    ProxyGroups,
    ProxyLoad,
    ProxyMember,
    as_expected,
)

CLUSTERS = "/clusters?format=json"
CHECKED = r"/stats?format=json&filter=^cluster\..%2B\.health_check\.attempt$"
"""The counter exists for clusters with active health checks only."""

MOST_SAMPLED = 2**20
"""Bytes of /clusters up to which it is asked for twice a second; a host has about 900."""

DUMPS = ("static_clusters", "dynamic_active_clusters")
# A mask leaves everything else out: health checks can hold headers with secrets.
_MASK = ",".join(
    f"cluster.{name}"
    for name in (
        "name", "alt_stat_name", "type", "lb_policy", "load_balancing_policy", "outlier_detection",
    )
)  # fmt: skip

_POLICIES: Mapping[str, Policy] = {
    "ROUND_ROBIN": Policy.EVEN,
    "RANDOM": Policy.EVEN,
    "LEAST_REQUEST": Policy.LEAST,
    "RING_HASH": Policy.HASH,
    "MAGLEV": Policy.HASH,
}
_DOWN: Mapping[str, str] = {
    "failed_active_health_check": "fails its health check",
    "failed_outlier_check": "ejected by outlier detection",
    "excluded_via_immediate_hc_fail": "reported itself as failing",
    "pending_active_hc": "not checked yet",
}
_NAMED_TYPES = ("STRICT_DNS", "LOGICAL_DNS")

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EnvoyCluster:
    """How one cluster is set up; ``method`` is ROUND_ROBIN, ... or a policy's extension name."""

    name: str
    kind: str
    method: str
    health_checks: bool
    outlier_detection: bool


@fact
@dataclass(frozen=True, slots=True)
class EnvoySetup:
    """The clusters of the configuration, static ones and those from a control plane."""

    clusters: tuple[EnvoyCluster, ...]


@probe(cost="3 requests; a mask leaves all but six fields of each cluster out")
async def envoy_setup(envoy: EnvoySession) -> EnvoySetup:
    """Read the clusters' policies from /config_dump."""
    counters = (await envoy.json(CHECKED)).get("stats", ())
    found: list[EnvoyCluster] = []
    for dump in DUMPS:
        answer = await envoy.json(f"/config_dump?resource={dump}&mask={_MASK}")
        with as_expected("Envoy's /config_dump"):
            checked = {stat.get("name", "") for stat in counters}
            clusters = (config.get("cluster", {}) for config in answer.get("configs", ()))
            found.extend(_setup(cluster, checked) for cluster in clusters)
    return EnvoySetup(tuple(found))


def _setup(cluster: Json, checked: set[str]) -> EnvoyCluster:
    policies = cluster.get("load_balancing_policy", {}).get("policies", ())
    named = [p.get("typed_extension_config", {}).get("name", "") for p in policies]
    # envoy.load_balancing_policies.round_robin is ROUND_ROBIN of the older field.
    method = named[0].rpartition(".")[2].upper() if named else ""
    name = str(cluster.get("name", ""))
    return EnvoyCluster(
        name=name,
        kind=str(cluster.get("type", "STATIC")),
        method=method or str(cluster.get("lb_policy", "ROUND_ROBIN")),
        health_checks=f"cluster.{stat_name(cluster, 'alt_stat_name')}.health_check.attempt"
        in checked,
        outlier_detection="outlier_detection" in cluster,
    )


@dataclass(frozen=True, slots=True)
class EnvoyLimits:
    """A cluster's circuit breakers of the default priority; ``stat`` is its name in the stats."""

    name: str
    stat: str
    requests: int
    pending: int
    connections: int
    retries: int


@fact
@dataclass(frozen=True, slots=True)
class EnvoyBreakers:
    """The limits of all clusters."""

    clusters: tuple[EnvoyLimits, ...]


@probe(cost="1 request")
async def envoy_breakers(envoy: EnvoySession) -> EnvoyBreakers:
    """Read the limits from /clusters."""
    answer = await envoy.json(CLUSTERS)
    with as_expected("Envoy's /clusters"):
        return EnvoyBreakers(tuple(map(_limits, _clusters(answer))))


def _limits(cluster: Json) -> EnvoyLimits:
    thresholds = cluster.get("circuit_breakers", {}).get("thresholds", ())
    default: Json = next((t for t in thresholds if t.get("priority", "DEFAULT") == "DEFAULT"), {})
    return EnvoyLimits(
        name=str(cluster.get("name", "")),
        stat=stat_name(cluster, "observability_name"),
        requests=_number(default, "max_requests"),
        pending=_number(default, "max_pending_requests"),
        connections=_number(default, "max_connections"),
        retries=_number(default, "max_retries"),
    )


@probe(cost="1 request", cadence=Cadence.EDGES)
async def envoy_groups(envoy: EnvoySession, setup: EnvoySetup | None) -> ProxyGroups:
    """Read hosts, their health and their counters from /clusters."""
    known = {c.name: c for c in setup.clusters} if setup else {}
    answer = await envoy.json(CLUSTERS)
    with as_expected("Envoy's /clusters"):
        groups = (_group(c, known.get(c.get("name", ""))) for c in _clusters(answer))
        return ProxyGroups("envoy", tuple(groups))


@probe(cost="1 request, not when /clusters is above 1 MB", cadence=Cadence.SAMPLED)
async def envoy_load(envoy: EnvoySession) -> ProxyLoad:
    """Read what each host has in hand from /clusters."""
    answer = await envoy.web.reading(CLUSTERS)
    if len(answer.text) > MOST_SAMPLED:
        raise Unavailable(f"/clusters has {len(answer.text) / 2**20:.0f} MB: it is not sampled")
    with as_expected("Envoy's /clusters"):
        return ProxyLoad(tuple(_in_hand(answer.json("Envoy's /clusters"))))


def _clusters(answer: Json) -> Iterator[Json]:
    """The clusters of an answer; zero values and empty lists are absent in it."""
    return iter(answer.get("cluster_statuses", ()))


def _in_hand(answer: Json) -> Iterator[InHand]:
    for cluster in _clusters(answer):
        for host in cluster.get("host_statuses", ()):
            stats = _stats(host)
            found = InHand(
                group=str(cluster.get("name", "")),
                address=_address(host),
                active=stats.get("rq_active", 0),
                waiting=stats.get("rq_pending_active", 0),
                connections=stats.get("cx_active", 0),
            )
            if found.active or found.waiting or found.connections:
                yield found


def stat_name(cluster: Json, other: str) -> str:
    """A cluster's name in the stats: its other name if it has one, without colons."""
    return str(cluster.get(other) or cluster.get("name", "")).replace(":", "_")


def _group(cluster: Json, setup: EnvoyCluster | None) -> ProxyGroup:
    # A control plane takes members out by itself (EDS).
    active = setup is not None and (setup.health_checks or setup.kind == "EDS")
    passive = setup is not None and setup.outlier_detection
    checked = [word for word, on in (("active", active), ("passive", passive)) if on]
    return ProxyGroup(
        name=str(cluster.get("name", "")),
        members=tuple(map(_member, cluster.get("host_statuses", ()))),
        policy=_POLICIES.get(setup.method, Policy.OTHER) if setup else Policy.OTHER,
        method=setup.method.lower() if setup else "",
        checked=tuple(checked) if setup else ("unknown",),
        names=setup is None or setup.kind in _NAMED_TYPES,
    )


def _member(host: Json) -> ProxyMember:
    stats, health = _stats(host), host.get("health_status", {})
    told = str(health.get("eds_health_status", "HEALTHY"))
    words = [text for flag, text in _DOWN.items() if health.get(flag)]
    if told in ("UNHEALTHY", "TIMEOUT"):
        words.append(f"{told.lower()} by its control plane")
    return ProxyMember(
        address=_address(host),
        down=", ".join(words),
        drained=told == "DRAINING" or bool(health.get("pending_dynamic_removal")),
        weight=float(host.get("weight", 1)),
        place=_place(host),
        requests=stats.get("rq_total", 0),
        failed=stats.get("rq_error", 0),
        timeouts=stats.get("rq_timeout", 0),
        unconnected=stats.get("cx_connect_fail", 0),
    )


def _place(host: Json) -> str:
    """Locality and priority: only members of one place share requests by weight."""
    zone = "/".join(str(v) for _, v in sorted(host.get("locality", {}).items()))
    priority = host.get("priority", 0)
    return f"{zone} priority {priority}" if priority else zone


def _address(host: Json) -> str:
    """host:port, [v6]:port, or a socket's path."""
    address = host.get("address", {})
    socket = address.get("socket_address", {})
    if not socket:
        return str(address.get("pipe", {}).get("path") or host.get("hostname") or "internal")
    name = str(socket.get("address", ""))
    return (
        f"[{name}]:{socket.get('port_value', 0)}"
        if ":" in name
        else (f"{name}:{socket.get('port_value', 0)}")
    )


def _stats(host: Json) -> dict[str, int]:
    """The numbers of a host; Envoy writes 64-bit ones as text and leaves out zeros."""
    return {str(s.get("name")): int(s.get("value", 0)) for s in host.get("stats", ())}


def _number(values: Json, name: str) -> int:
    return int(values.get(name, 0))
