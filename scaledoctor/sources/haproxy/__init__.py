"""HAProxy, by its stats page or its stats socket: counters, gauges, its process."""

from scaledoctor.sources.haproxy.info import HaproxyInfo
from scaledoctor.sources.haproxy.now import BackendLoad, HaproxyNow, ServerLoad
from scaledoctor.sources.haproxy.stats import Backend, BackendServer, Frontend, HaproxyStats

__all__ = [
    "Backend",
    "BackendLoad",
    "BackendServer",
    "Frontend",
    "HaproxyInfo",
    "HaproxyNow",
    "HaproxyStats",
    "ServerLoad",
]
