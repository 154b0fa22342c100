"""Envoy's clusters over the window: counters, what is in hand, limits, members."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from scaledoctor.sdk import Unavailable, Window
from scaledoctor.sources.envoy import (
    COUNTED,
    ClusterCounters,
    EnvoyBreakers,
    EnvoyCounters,
    EnvoyLimits,
)
from scaledoctor.sources.proxies import ProxyGroups, ProxyLoad
from scaledoctor_checks.balancing._proxies import Group, groups

STATS = "/stats"


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster: ``grown`` are its counters over the window, the rest is in hand at once.

    ``part`` is its share of all requests of the window, ``held`` its share of all in hand.
    """

    limits: EnvoyLimits
    grown: Mapping[str, float]
    part: float = 1.0
    held: float = 1.0
    active: float = 0.0
    peak: float = 0.0
    waiting: float = 0.0
    peak_waiting: float = 0.0
    connections: float = 0.0

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self.limits.name

    @property
    def refused(self) -> float:
        """Requests that its circuit breakers refused."""
        return self.grown["refused_active"] + self.grown["refused_pending"]

    def share(self, counter: str) -> float:
        """A counter over the requests that were answered."""
        return min(1.0, self.grown[counter] / max(1.0, self.grown["completed"]))


def clusters(
    breakers: EnvoyBreakers, window: Window[EnvoyCounters], load: Window[ProxyLoad] | None = None
) -> list[Cluster]:
    """Clusters that had any request in the window.

    Raises:
        Unavailable: one reading only, or Envoy was started anew in between.

    """
    if len(window) < 2:
        raise Unavailable("one reading of Envoy's counters gives no rates", "scan with a --window")
    first = {c.name: c for c in window.first.clusters}
    last = {c.name: c for c in window.last.clusters}
    samples = _samples(load)
    found: list[Cluster] = []
    for limits in breakers.clusters:
        name = limits.name
        if name not in last:
            continue
        grown = _grown(first.get(name, ClusterCounters(name)), last[name])
        if not grown["completed"] and name not in samples:
            continue
        sums = samples.get(name, [(0.0, 0.0, 0.0)])
        count = max(1, len(load or ()))
        found.append(
            Cluster(
                limits=limits,
                grown=grown,
                active=sum(s[0] for s in sums) / count,
                peak=max(s[0] for s in sums),
                waiting=sum(s[1] for s in sums) / count,
                peak_waiting=max(s[1] for s in sums),
                connections=max(s[2] for s in sums),
            )
        )
    total = sum(c.grown["completed"] for c in found) or 1.0
    hand = sum(c.active + c.waiting for c in found) or 1.0
    return [
        replace(c, part=c.grown["completed"] / total, held=(c.active + c.waiting) / hand)
        for c in found
    ]


def _samples(load: Window[ProxyLoad] | None) -> dict[str, list[tuple[float, float, float]]]:
    """Requests, waiting ones and connections of each cluster, sample by sample."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for sample in load or ():
        sums: dict[str, tuple[float, float, float]] = {}
        for member in sample.members:
            active, waiting, connections = sums.get(member.group, (0.0, 0.0, 0.0))
            sums[member.group] = (
                active + member.active,
                waiting + member.waiting,
                connections + member.connections,
            )
        for name, triple in sums.items():
            found.setdefault(name, []).append(triple)
    return found


def _grown(first: ClusterCounters, last: ClusterCounters) -> Mapping[str, float]:
    grown = {name: float(getattr(last, name) - getattr(first, name)) for name in COUNTED}
    if min(grown.values()) < 0:
        raise Unavailable("Envoy was started anew in the window", "scan again")
    return grown


def by_name(window: Window[ProxyGroups]) -> Mapping[str, Group]:
    """The members of each cluster."""
    return {g.row.name: g for g in groups(window)}


REFUSED = "its circuit breakers refused them"
APPLICATION = "the application answered 5xx"


def causes(cluster: Cluster, group: Group | None) -> list[tuple[str, float]]:
    """Who made the errors, by failed tries, the most first.

    A member's failures hold its time-outs, its failed connections, and from Envoy 1.38 on the
    requests that max_requests refused; what is left answered 5xx itself.
    """
    grown = cluster.grown
    members = group.members if group else ()
    failed = sum(m.failed or 0.0 for m in members)
    late = sum(m.timeouts for m in members)
    itself = failed - late - grown["unconnected"] - grown["refused_active"]
    found = [
        (REFUSED, cluster.refused),
        ("no connection to a member", grown["unconnected"]),
        ("no usable member", grown["no_member"]),
        ("no answer in time", max(late, grown["timeouts"] + grown["try_timeouts"])),
        (APPLICATION, max(0.0, itself)),
    ]
    return sorted((c for c in found if c[1] > 0), key=lambda c: -c[1])
