"""Envoy, by its admin interface: clusters, their members, limits and counters."""

from scaledoctor.sources.envoy.clusters import EnvoyBreakers, EnvoyCluster, EnvoyLimits, EnvoySetup
from scaledoctor.sources.envoy.counters import COUNTED, ClusterCounters, EnvoyCounters
from scaledoctor.sources.envoy.session import EnvoyServer

__all__ = [
    "COUNTED",
    "ClusterCounters",
    "EnvoyBreakers",
    "EnvoyCluster",
    "EnvoyCounters",
    "EnvoyLimits",
    "EnvoyServer",
    "EnvoySetup",
]
