"""Words that several checks of nginx share."""

from collections.abc import Iterable

from scaledoctor.sources.nginx_conf import Place

RELOAD = "nginx -t && nginx -s reload"

SHOWN = 3
"""Places that one finding names; the rest is counted."""


def places(found: Iterable[Place]) -> str:
    """The first places as file:line, and how many more there are."""
    given = list(dict.fromkeys(map(str, found)))
    more = f" and {len(given) - SHOWN} more" if len(given) > SHOWN else ""
    return ", ".join(given[:SHOWN]) + more
