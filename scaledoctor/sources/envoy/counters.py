"""Envoy's counters by cluster: what was refused, retried and failed, and by whom."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.envoy.clusters import EnvoyBreakers
from scaledoctor.sources.envoy.session import EnvoySession
from scaledoctor.sources.proxies import as_expected


@dataclass(frozen=True, slots=True)
class ClusterCounters:
    """Counters of one cluster since Envoy's start.

    ``completed`` requests got an answer, ``errors`` of them a 5xx. ``refused_active`` met the
    limit max_requests (counted as pending before Envoy 1.38), ``refused_pending`` the limit on
    waiting requests; ``connections_full`` is how often a connection was wanted beyond
    max_connections. ``unconnected`` requests waited for a connection that failed,
    ``no_member`` found none usable, ``timeouts`` took too long. ``panics`` were sent to
    unhealthy members because too few were healthy. ``ejections_capped`` were not made because of
    max_ejection_percent.
    """

    name: str
    completed: int = 0
    errors: int = 0
    refused_active: int = 0
    refused_pending: int = 0
    connections_full: int = 0
    unconnected: int = 0
    no_member: int = 0
    timeouts: int = 0
    try_timeouts: int = 0
    retries: int = 0
    retries_good: int = 0
    retries_refused: int = 0
    panics: int = 0
    ejections_capped: int = 0


_NAMES: Mapping[str, str] = {
    "upstream_rq_completed": "completed",
    "upstream_rq_5xx": "errors",
    "upstream_rq_active_overflow": "refused_active",
    "upstream_rq_pending_overflow": "refused_pending",
    "upstream_cx_overflow": "connections_full",
    "upstream_rq_pending_failure_eject": "unconnected",
    "upstream_cx_none_healthy": "no_member",
    "upstream_rq_timeout": "timeouts",
    "upstream_rq_per_try_timeout": "try_timeouts",
    "upstream_rq_retry": "retries",
    "upstream_rq_retry_success": "retries_good",
    "upstream_rq_retry_overflow": "retries_refused",
    "lb_healthy_panic": "panics",
    "outlier_detection.ejections_overflow": "ejections_capped",
}
_STAT = re.compile(r"cluster\.(.+)\.(" + "|".join(map(re.escape, _NAMES)) + r")")

STATS = "/stats?format=json&usedonly&filter=" + (
    r"^cluster\..%2B\.(" + "|".join(name.replace(".", r"\.") for name in _NAMES) + ")$"
)
"""Only the counters that are needed, and only those that were ever counted."""


@fact
@dataclass(frozen=True, slots=True)
class EnvoyCounters:
    """The counters of every cluster that has any."""

    clusters: tuple[ClusterCounters, ...]


@probe(cost="1 request with a filter", cadence=Cadence.EDGES)
async def envoy_counters(envoy: EnvoySession, breakers: EnvoyBreakers) -> EnvoyCounters:
    """Read /stats; names in it are turned back into those of the clusters."""
    names = {c.stat: c.name for c in breakers.clusters}
    found: dict[str, dict[str, int]] = {}
    answer = await envoy.json(STATS)
    with as_expected("Envoy's /stats"):
        for cluster, counter, value in _counters(answer):
            if cluster in names:
                found.setdefault(names[cluster], {})[counter] = value
    return EnvoyCounters(tuple(ClusterCounters(name, **c) for name, c in sorted(found.items())))


def _counters(answer: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    for stat in answer.get("stats", ()):
        match = _STAT.fullmatch(str(stat.get("name", "")))
        if match:
            yield match[1], _NAMES[match[2]], int(stat.get("value", 0))


COUNTED = tuple(f.name for f in fields(ClusterCounters) if f.name != "name")
"""The names of all counters."""
