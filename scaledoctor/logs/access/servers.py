"""The servers behind a balancer, as its log shows them: who got what, and how long they took."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scaledoctor.logs.access.sums import Routed, is_error, is_server
from scaledoctor.logs.access.tally import Tally

MOST = 64
"""Servers that are told apart, those with most requests."""

ALIKE = 0.5
"""Share of their requests that two servers have in the same routes if they are of one group."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._:/\[\]@-]")


@dataclass(frozen=True, slots=True)
class Upstream:
    """One server behind the balancer over the span.

    ``group`` is the same for servers among which requests are spread. ``tries`` are all requests
    sent to it, ``failed`` those of them that another try had to make good, ``errors`` its
    answers of 500 and above that reached the client.
    ``spent`` is its time in seconds; ``compared`` counts the requests in routes that its peers
    serve too, ``took`` is its time for those, ``expected`` what its peers would have taken.
    """

    group: str
    name: str
    tries: int
    failed: int
    errors: int
    spent: float
    compared: int
    took: float
    expected: float

    @property
    def handled(self) -> int:
        """Requests of which it gave the last answer."""
        return self.tries - self.failed


@dataclass(slots=True)
class _Server:
    """By route: ``counts`` and ``seconds`` of requests with a single try, and all tries."""

    counts: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    tries: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    errors: int = 0
    retried: float = 0.0


def servers(tally: Tally) -> tuple[Upstream, ...]:
    """Every server that the log names, the busiest first."""
    found: defaultdict[str, _Server] = defaultdict(_Server)
    for route, routed in tally.routes.items():
        _collect(found, route, routed)
    busiest = sorted(found, key=lambda name: (-found[name].tries.total(), name))[:MOST]
    some = {name: found[name] for name in busiest}
    groups = _by_backend(some) if tally.layout.grouped else _by_routes(some)
    return tuple(_upstream(name, groups, some) for name in busiest)


def _collect(found: defaultdict[str, _Server], route: str, routed: Routed) -> None:
    for outcome, sums in routed.outcomes.items():
        address = outcome[1].rpartition(b", ")[2].rpartition(b" : ")[2]
        if not is_server(address):
            continue
        server = found[_name(address)]
        server.errors += sums.count if is_error(outcome) else 0
        if not sums.several:
            server.counts[route] += sums.count
            server.seconds[route] += sums.spent
            server.tries[route] += sums.count
    for address, tries in routed.tries.items():
        if is_server(address):
            server = found[_name(address)]
            server.tries[route] += tries.count
            server.failed += tries.failed
            server.retried += tries.spent


def _name(address: bytes) -> str:
    text = address.decode("ascii", "replace")
    text = text.partition("://")[2] or text
    return _UNSAFE.sub("?", text.rstrip("/"))[:100]


def _by_backend(some: Mapping[str, _Server]) -> dict[str, str]:
    return {name: name.partition("/")[0] for name in some}


def _by_routes(some: Mapping[str, _Server]) -> dict[str, str]:
    """Servers that get the same mix of routes are of one group, named by its first member."""
    groups = {name: name for name in some}
    names = sorted(some)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            if groups[one] != groups[other] and _alike(some[one], some[other]) >= ALIKE:
                old = groups[other]
                groups = {n: groups[one] if g == old else g for n, g in groups.items()}
    return groups


def _alike(one: _Server, other: _Server) -> float:
    a, b = one.tries.total(), other.tries.total()
    if not a or not b:
        return 0.0
    return sum(min(n / a, other.tries[route] / b) for route, n in one.tries.items())


def _upstream(name: str, groups: Mapping[str, str], some: Mapping[str, _Server]) -> Upstream:
    server = some[name]
    peers = [s for n, s in some.items() if n != name and groups[n] == groups[name]]
    compared, took, expected = _against(server, peers)
    return Upstream(
        group=groups[name],
        name=name,
        tries=server.tries.total(),
        failed=server.failed,
        errors=server.errors,
        spent=round(sum(server.seconds.values()) + server.retried, 3),
        compared=compared,
        took=round(took, 3),
        expected=round(expected, 3),
    )


def _against(server: _Server, peers: Sequence[_Server]) -> tuple[int, float, float]:
    """Requests, time and the peers' time for the same, in the routes that peers serve too."""
    compared, took, expected = 0, 0.0, 0.0
    for route, count in server.counts.items():
        requests = sum(peer.counts[route] for peer in peers)
        if requests:
            compared += count
            took += server.seconds[route]
            expected += count * sum(peer.seconds[route] for peer in peers) / requests
    return compared, took, expected
