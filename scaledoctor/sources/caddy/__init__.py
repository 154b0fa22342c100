"""Caddy, by its admin API: reverse_proxy handlers, their upstreams, requests by server."""

from scaledoctor.sources.caddy.facts import CaddyCounters, CaddyRow

__all__ = ["CaddyCounters", "CaddyRow"]
