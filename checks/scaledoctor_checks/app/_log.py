"""What several checks on an access log share: the span in words, routes that are jobs."""

import re
from collections.abc import Sequence

from scaledoctor.sources.access_log import AccessLog, Route

SOURCE = "access log"

FEWEST = 20
"""Requests of a route below which its 95th percentile is its slowest request."""

ENOUGH = 200
"""Requests of a log below which a share of one in a hundred is one or two requests."""

_JOB = re.compile(
    r"(?:^|[/_.-])(?:export|report|pdf|csv|xlsx?|e?mail|import|upload|image|thumbnail|webhook|sync|"
    r"generat|process|bulk|batch|backup|invoice|render|convert)(?:s|es?|ed|ing|er|or|ion)?(?![a-z])",
    re.I,
)
"""Words of routes whose work nobody needs to wait for."""


def span(log: AccessLog) -> str:
    """The time that a log's numbers are about."""
    if not log.seconds:
        return "in the log"
    length = f"{log.seconds:.0f} s" if log.seconds < 600 else f"{log.seconds / 60:.0f} min"
    return f"in the last {length}" if log.live else f"in the {length} of the log"


def is_job(route: Route) -> bool:
    """Whether a route's name says that it does work which can be done later."""
    method, _, path = route.name.partition(" ")
    return method in ("POST", "PUT", "PATCH", "DELETE") or bool(_JOB.search(path))


def main_route(routes: Sequence[Route], count: str) -> str:
    """The route with at least half of a count, else "all routes"."""
    worst = max(routes, key=lambda route: (getattr(route, count), route.name))
    total = sum(getattr(route, count) for route in routes)
    return worst.name if 2 * getattr(worst, count) >= total else "all routes"
