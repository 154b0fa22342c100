"""A tally as plain numbers: the routes, those that take most time first."""

import re
from collections import Counter
from dataclasses import dataclass

from scaledoctor.logs.access.layout import ABORTED, Layout
from scaledoctor.logs.access.routes import OTHER
from scaledoctor.logs.access.sums import Outcome, Routed, is_error, is_failure, is_server
from scaledoctor.logs.access.tally import Tally
from scaledoctor.logs.histogram import percentile

BY_TIME, BY_ERRORS = 80, 20
"""Routes that are told apart; the rest is one."""

_BETWEEN = re.compile(rb"(?:,| :) ")


@dataclass(frozen=True, slots=True)
class Route:
    """The requests of one route over the span; times in seconds.

    ``seconds`` is their whole time, ``spent`` what the upstream took of it. ``errors`` are
    answers of 500 and above: ``answered`` by the upstream itself, ``unanswered`` when it gave no
    valid answer, and the rest the balancer's alone. ``hidden`` are requests that went well after
    a failed try; ``aborted`` those that the client gave up.
    """

    name: str
    requests: int
    seconds: float = 0.0
    spent: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    spent_p95: float = 0.0
    errors: int = 0
    answered: int = 0
    unanswered: int = 0
    hidden: int = 0
    aborted: int = 0


def routes(tally: Tally) -> tuple[Route, ...]:
    """The routes that take most time, those with most errors, and all others as one."""
    worth = {name: _worth(routed, tally.layout) for name, routed in tally.routes.items()}
    errors = Counter({name: _errors(routed) for name, routed in tally.routes.items()})
    kept = set(sorted(worth, key=lambda name: worth[name], reverse=True)[:BY_TIME])
    kept |= {name for name, count in errors.most_common(BY_ERRORS) if count}
    rest = Routed()
    for name, routed in tally.routes.items():
        if name not in kept or name == OTHER:
            rest.merge(routed)
    found = {name: tally.routes[name] for name in kept - {OTHER}}
    if rest.outcomes:
        found[OTHER] = rest
    ordered = sorted(found, key=lambda name: (*worth.get(name, (0.0, 0)), name), reverse=True)
    return tuple(_route(name, found[name], tally.layout) for name in ordered)


def _worth(routed: Routed, layout: Layout) -> tuple[float, int]:
    sums = routed.outcomes.values()
    time = sum(s.spent if layout.upstream_timed else s.total for s in sums)
    return round(time, 3), routed.requests


def _errors(routed: Routed) -> int:
    return sum(sums.count for outcome, sums in routed.outcomes.items() if is_error(outcome))


def _route(name: str, routed: Routed, layout: Layout) -> Route:
    counts: Counter[str] = Counter()
    for outcome, sums in routed.outcomes.items():
        counts["aborted"] += sums.count if outcome[0] == ABORTED else 0
        if is_error(outcome):
            counts["errors"] += sums.count
            counts[_maker(outcome, layout)] += sums.count
        elif sums.several and _lost(outcome):
            counts["hidden"] += sums.count
    return Route(
        name=name,
        requests=routed.requests,
        seconds=round(sum(s.total for s in routed.outcomes.values()), 3),
        spent=round(sum(s.spent for s in routed.outcomes.values()), 3),
        p50=round(percentile(routed.total, 0.5), 4),
        p95=round(percentile(routed.total, 0.95), 4),
        p99=round(percentile(routed.total, 0.99), 4),
        spent_p95=round(percentile(routed.spent, 0.95), 4),
        errors=counts["errors"],
        answered=counts["answered"],
        unanswered=counts["unanswered"],
        hidden=counts["hidden"],
        aborted=counts["aborted"],
    )


def _maker(outcome: Outcome, layout: Layout) -> str:
    """Who made an error: the upstream's own answer, none from it, or the balancer alone.

    nginx writes its own 502 or 504 as the upstream's when that gave no valid answer.
    """
    status, addresses, answers = outcome
    if not layout.answers:
        return ""
    last, address = _BETWEEN.split(answers)[-1], _BETWEEN.split(addresses)[-1]
    if last == status and not (layout.proxied and status in (b"502", b"504")):
        return "answered"
    reached = is_server(address) if layout.upstreams else last == status
    return "unanswered" if reached else "balancer"


def _lost(outcome: Outcome) -> bool:
    """Whether a try before the last one failed."""
    return any(map(is_failure, _BETWEEN.split(outcome[2])[:-1]))
