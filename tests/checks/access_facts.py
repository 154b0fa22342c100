"""Access logs as facts, with the values that do not matter filled in."""

from dataclasses import replace
from typing import Any

from scaledoctor.sources.access_log import AccessLog, Route, Upstream

LOG = AccessLog(
    format="combined with upstream fields", live=True, seconds=100.0, lines=1000, unread=0,
    timed=True, upstream_timed=True, upstreams=True, answers=True, waited=0.0, routes=(),
    servers=(),
)  # fmt: skip


def route(name: str = "GET /orders/:id", requests: int = 1000, **changes: Any) -> Route:
    """A fast route: 10 ms for each request."""
    return replace(
        Route(name, requests, seconds=requests * 0.011, spent=requests * 0.01, p50=0.01,
              p95=0.02, p99=0.03, spent_p95=0.02),
        **changes,
    )  # fmt: skip


def heavy(
    name: str = "GET /reports/export", requests: int = 40, mean: float = 2.0, **changes: Any
) -> Route:
    """A route whose requests take ``mean`` seconds."""
    times = {"seconds": requests * mean, "spent": requests * mean, "p50": mean, "p95": mean,
             "p99": mean, "spent_p95": mean}  # fmt: skip
    return route(name, requests, **{**times, **changes})


def upstream(name: str, tries: int = 1000, mean: float = 0.01, **changes: Any) -> Upstream:
    """A server that takes as long as its peers."""
    return replace(
        Upstream("app", name, tries, failed=0, errors=0, spent=tries * mean, compared=tries,
                 took=tries * mean, expected=tries * mean),
        **changes,
    )  # fmt: skip


def log(*routes: Route, **changes: Any) -> AccessLog:
    """100 s of a log of nginx with upstream fields."""
    return replace(LOG, routes=routes or (route(),), **changes)
