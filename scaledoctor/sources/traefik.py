"""Traefik: its services by the API, its counters by the metrics page."""

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from scaledoctor.sdk import Cadence, Redactor, Target, Unavailable, fact, probe, source
from scaledoctor.sources._http import Http, http
from scaledoctor.sources._metrics import samples
from scaledoctor.sources.proxies import Policy, ProxyGroup, ProxyGroups, ProxyMember, as_expected

ENABLE_API = (
    "turn the API on: --api.insecure=true on a private address, or a router to api@internal"
)
ENABLE_METRICS = (
    "turn metrics on: --metrics.prometheus=true --metrics.prometheus.addServicesLabels=true"
)

PER_PAGE, MOST_PAGES = 1000, 20

_POLICIES: Mapping[str, Policy] = {
    "wrr": Policy.EVEN,
    "p2c": Policy.LEAST,
    "leasttime": Policy.LEAST,
    "hrw": Policy.HASH,
}

_ENTRYPOINT, _SERVICE = "traefik_entrypoint_request", "traefik_service_request"
_OPEN = "traefik_open_connections"
_METRICS = (
    f"{_ENTRYPOINT}s_total", f"{_SERVICE}s_total", f"{_ENTRYPOINT}_duration_seconds_sum",
    f"{_SERVICE}_duration_seconds_sum", _OPEN, "traefik_entrypoint_open_connections",
)  # fmt: skip

_USER = re.compile(r"(?<=://)[^/@]*@")

Json = Mapping[str, Any]


@dataclass
class TraefikSession:
    """A client, and the paths of the API and of the metrics page."""

    web: Http
    redactor: Redactor
    api: str
    metrics: str

    @property
    def spent(self) -> list[float]:
        """The seconds of each request."""
        return self.web.spent


@source("traefik", TraefikSession)
@asynccontextmanager
async def traefik(target: Target, redactor: Redactor) -> AsyncIterator[TraefikSession]:
    """Traefik, through its API or its metrics page; one of the two is enough."""
    path = urlsplit(target.dsn).path.rstrip("/")
    base = path.removesuffix("/metrics").removesuffix("/dashboard").removesuffix("/api")
    async with http(target) as web:
        session = TraefikSession(web, redactor, f"{base}/api", f"{base}/metrics")
        greet = [_greet_api, _greet_metrics]
        for look in greet if not path.endswith("/metrics") else reversed(greet):
            try:
                await look(session)
            except Unavailable:
                continue
            break
        else:
            raise Unavailable("neither Traefik's API nor its metrics", ENABLE_API)
        yield session


async def _greet_api(session: TraefikSession) -> None:
    answer = (await session.web.get(f"{session.api}/version")).json("Traefik's API")
    if not isinstance(answer, dict) or "Version" not in answer:
        raise Unavailable("not Traefik's API")


async def _greet_metrics(session: TraefikSession) -> None:
    if "traefik_" not in (await session.web.get(session.metrics)).text:
        raise Unavailable("not Traefik's metrics")


@probe(cost="1 request per 1,000 services", cadence=Cadence.EDGES)
async def traefik_groups(traefik: TraefikSession) -> ProxyGroups:
    """Read services, their servers and their health from /api/http/services."""
    found: list[Json] = []
    page = 1
    try:
        while page <= MOST_PAGES:
            url = f"{traefik.api}/http/services?per_page={PER_PAGE}&page={page}"
            answer = await traefik.web.reading(url)
            found.extend(answer.json("Traefik's API"))
            page, last = int(answer.headers.get("x-next-page", "1")), page
            if page <= last:
                break
    except Unavailable as no:
        raise Unavailable(f"Traefik's API: {no.reason}", ENABLE_API) from None
    with as_expected("/api/http/services"):
        named = set(_named(found))
        groups = (_group(s, named, traefik.redactor) for s in found if "loadBalancer" in s)
        return ProxyGroups("traefik", tuple(groups))


def _named(services: Iterable[Json]) -> Iterator[str]:
    """Services that a router or another service leads to."""
    for service in services:
        provider = f"@{service.get('provider', '')}"
        if service.get("usedBy"):
            yield str(service["name"])
        rows = [*service.get("weighted", {}).get("services", ())]
        mirror, failover = service.get("mirroring", {}), service.get("failover", {})
        rows += [{"name": mirror.get("service", "")}, *mirror.get("mirrors", ())]
        rows += [{"name": failover.get(key, "")} for key in ("service", "fallback")]
        for name in (row["name"] for row in rows if row.get("name")):
            yield name if "@" in name else name + provider


def _group(service: Json, named: set[str], redactor: Redactor) -> ProxyGroup:
    balancer, status = service["loadBalancer"], service.get("serverStatus", {})
    strategy = str(balancer.get("strategy", "wrr"))
    sticky = bool(balancer.get("sticky"))
    checks = (("active", "healthCheck"), ("passive", "passiveHealthCheck"))
    return ProxyGroup(
        name=redactor.text(str(service["name"])),
        members=tuple(_member(s, status, redactor) for s in balancer.get("servers") or ()),
        policy=Policy.HASH if sticky else _POLICIES.get(strategy, Policy.OTHER),
        method="sticky cookie" if sticky else strategy,
        checked=tuple(word for word, key in checks if balancer.get(key)),
        used=service["name"] in named,
    )


def _member(server: Json, status: Mapping[str, str], redactor: Redactor) -> ProxyMember:
    url = str(server.get("url", ""))
    down = status.get(url, "UP") != "UP"
    return ProxyMember(
        address=redactor.text(_USER.sub("", url).removeprefix("http://")),
        down="fails its health check" if down else "",
        weight=float(server.get("weight", 1)),
    )


@dataclass(frozen=True, slots=True)
class TraefikRow:
    """Requests of one entry point or service that ended with one status, and their seconds."""

    name: str
    code: int
    requests: int
    seconds: float


@fact
@dataclass(frozen=True, slots=True)
class TraefikCounters:
    """Counters since the start of Traefik, and open connections now.

    A service counts every try; an entry point counts what the client got, also what no service
    was asked for. ``services`` are empty when addServicesLabels is off.
    """

    entrypoints: tuple[TraefikRow, ...]
    services: tuple[TraefikRow, ...]
    open_connections: int


@probe(cost="1 request, about 1 kB per service and status", cadence=Cadence.EDGES)
async def traefik_counters(traefik: TraefikSession) -> TraefikCounters:
    """Read the metrics page."""
    try:
        text = (await traefik.web.reading(traefik.metrics)).text
    except Unavailable as no:
        raise Unavailable(f"Traefik's metrics: {no.reason}", ENABLE_METRICS) from None
    counts: dict[tuple[str, str, int], list[float]] = {}
    connections = 0.0
    for sample in samples(text, _METRICS):
        if sample.name.endswith("open_connections"):
            connections += sample.value
            continue
        kind = "entrypoint" if sample.name.startswith(_ENTRYPOINT) else "service"
        code = sample.labels.get("code", "")
        key = (kind, sample.labels.get(kind, ""), int(code) if code.isdecimal() else 0)
        row = counts.setdefault(key, [0.0, 0.0])
        row[sample.name.endswith("_seconds_sum")] += sample.value
    rows = [(kind, TraefikRow(traefik.redactor.text(name), code, int(n), seconds))
            for (kind, name, code), (n, seconds) in sorted(counts.items())]  # fmt: skip
    return TraefikCounters(
        entrypoints=tuple(row for kind, row in rows if kind == "entrypoint"),
        services=tuple(row for kind, row in rows if kind == "service"),
        open_connections=int(connections),
    )
