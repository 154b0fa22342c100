"""Members of Envoy, Traefik and Caddy over the window, and how each of the three is set."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scaledoctor.sdk import Fix, Unavailable, Window
from scaledoctor.sources.proxies import ProxyGroup, ProxyGroups, ProxyLoad, ProxyMember
from scaledoctor_checks.balancing._balance import Member

SOURCES: Mapping[str, str] = {
    "envoy": "/clusters",
    "traefik": "/api/http/services",
    "caddy": "/reverse_proxy/upstreams",
}
"""Where each shows its members."""


@dataclass(frozen=True, slots=True)
class Served:
    """One member over the window.

    ``requests`` and the others are what was counted in it, None where the proxy does not count;
    ``seen`` are the requests that the samples found in its hand, ``steady`` that it could be used
    at both ends.
    """

    row: ProxyMember
    requests: float | None
    failed: float | None
    timeouts: float
    unconnected: float
    seen: float
    steady: bool

    @property
    def failing(self) -> bool:
        """Whether half of its tries fail or more."""
        tries = (self.requests or 0.0) + self.unconnected
        return self.failed is not None and self.failed > 0 and self.failed >= tries / 2

    def member(self, seconds: float, samples: int) -> Member:
        """The same for the tests that all balancers share; its seconds by Little's law."""
        spent = self.seen / samples * seconds if samples else 0.0
        return Member(
            name=self.row.address,
            weight=self.row.weight,
            # A try that found no connection was this member's turn too.
            requests=(self.requests or 0.0) + self.unconnected,
            seconds=spent,
            seen=self.seen,
        )


@dataclass(frozen=True, slots=True)
class Group:
    """One group with its members; ``product`` is the proxy's."""

    product: str
    row: ProxyGroup
    members: tuple[Served, ...]

    @property
    def requests(self) -> float | None:
        """Requests of the window; None where they are not counted by member."""
        counted = [m.requests for m in self.members if m.requests is not None]
        return sum(counted) if counted else None

    @property
    def tries(self) -> float | None:
        """The same with those that found no connection."""
        return (
            None
            if self.requests is None
            else self.requests + sum(m.unconnected for m in self.members)
        )

    @property
    def steady(self) -> list[Served]:
        """Members that could be used all the time, of the place that gets the requests."""
        usable = [m for m in self.members if m.steady and m.row.weight > 0]
        places = {m.row.place for m in usable}
        return usable if len(places) == 1 else []


def groups(window: Window[ProxyGroups], load: Window[ProxyLoad] | None = None) -> list[Group]:
    """Put the edges of the window and its samples together.

    Raises:
        Unavailable: the proxy was started anew in the window.

    """
    before = {(g.name, m.address): m for g in window.first.groups for m in g.members}
    seen = _seen(load)
    return [
        Group(
            window.last.product,
            group,
            tuple(
                _served(before.get((group.name, m.address)), m, seen[group.name, m.address])
                for m in group.members
            ),
        )
        for group in window.last.groups
    ]


def _seen(load: Window[ProxyLoad] | None) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for sample in load or ():
        found.update({(m.group, m.address): m.active for m in sample.members})
    return found


def _served(before: ProxyMember | None, last: ProxyMember, seen: float) -> Served:
    first = before or ProxyMember("", down="new")
    return Served(
        row=last,
        requests=_grown(first.requests, last.requests),
        failed=_grown(first.failed, last.failed),
        timeouts=_grown(first.timeouts, last.timeouts) or 0.0,
        unconnected=_grown(first.unconnected, last.unconnected) or 0.0,
        seen=seen,
        steady=not any(m.down or m.drained for m in (first, last)),
    )


def _grown(first: int | None, last: int | None) -> float | None:
    if first is None or last is None:
        return None
    if last < first:
        raise Unavailable("the proxy was started anew in the window", "scan again")
    return float(last - first)


def look_at(product: str, group: str, address: str, *, slow: bool = False) -> Fix:
    """Ask a member itself what is wrong with it."""
    url = address if "://" in address else f"http://{address}/"
    shown = "no member of it is slow" if slow else "it has all its members"
    timing = " -w '%{time_starttransfer} s\\n'" if slow else ""
    return Fix(
        f"Ask {address} itself, then " + ("look at its host" if slow else "start or repair it"),
        (f"curl -sv --max-time 3 -o /dev/null{timing} {url}",),
        language="shell",
        risk="one request; use the path of its health check",
        verify=f"scaledoctor scan of {group}: {shown} ({product}'s {SOURCES[product]})",
        undo="none needed",
    )


_SECOND: Mapping[str, tuple[str, ...]] = {
    "envoy": (
        "# in load_assignment of cluster {group}:",
        "- endpoint:",
        "    address: {{socket_address: {{address: SECOND_HOST, port_value: PORT}}}}",
    ),
    "traefik": (
        "# in http.services.{short}.loadBalancer:",
        "servers:",
        "  - url: http://{address}",
        "  - url: http://SECOND_HOST:PORT",
    ),
    "caddy": ("# {group}:", "reverse_proxy {address} SECOND_HOST:PORT"),
}
_CHECKED: Mapping[str, tuple[str, ...]] = {
    "envoy": (
        "# in cluster {group}:",
        "health_checks:",
        "  - timeout: 1s",
        "    interval: 5s",
        "    unhealthy_threshold: 2",
        "    healthy_threshold: 1",
        "    http_health_check: {{path: /health}}",
        "outlier_detection: {{consecutive_5xx: 5, max_ejection_percent: 50}}",
    ),
    "traefik": (
        "# in http.services.{short}.loadBalancer:",
        "healthCheck: {{path: /health, interval: 5s, timeout: 1s}}",
    ),
    "caddy": (
        "# in the reverse_proxy of {group}:",
        "health_uri /health",
        "health_interval 5s",
        "fail_duration 10s",
        "lb_retries 1",
    ),
}
_LEAST: Mapping[str, tuple[str, ...]] = {
    "envoy": ("# in cluster {group}:", "lb_policy: LEAST_REQUEST"),
    "traefik": ("# in http.services.{short}.loadBalancer (Traefik 3.4):", "strategy: p2c"),
    "caddy": ("# in the reverse_proxy of {group}:", "lb_policy least_conn"),
}
_RELOAD: Mapping[str, str] = {
    "envoy": "envoy --mode validate -c envoy.yaml, then restart it or push the cluster",
    "traefik": "Traefik reads its dynamic configuration by itself; its log says if it cannot",
    "caddy": "caddy reload --config /etc/caddy/Caddyfile",
}


def second(group: Group) -> Fix:
    """Add a second member."""
    address = group.members[0].row.address if group.members else ""
    return _setting(
        group,
        "Start a second instance and add it",
        _SECOND,
        address,
        risk="sessions in a member's memory and files on its disk are not shared",
    )


def health_check(group: Group) -> Fix:
    """Let the proxy find out that a member fails."""
    return _setting(
        group,
        "Check the members' health on a path that is cheap for them",
        _CHECKED,
        risk="a path that fails when the database does takes all members out at once",
    )


def least(group: Group) -> Fix:
    """Balance by requests in hand."""
    return _setting(
        group,
        "Balance by requests in hand",
        _LEAST,
        risk="a member that fails fast looks idle and gets more: check health too",
    )


def _setting(
    group: Group, title: str, lines: Mapping[str, tuple[str, ...]], address: str = "", *, risk: str
) -> Fix:
    name = group.row.name
    short = name.partition("@")[0]
    return Fix(
        title,
        tuple(
            line.format(group=name, short=short, address=address) for line in lines[group.product]
        ),
        language="text",
        risk=risk,
        verify=_RELOAD[group.product],
        undo="take the lines out again",
    )


def explained(group: Group, share: float) -> Mapping[str, float]:
    """The resource of a group, where there is one."""
    return {f"envoy.cluster:{group.row.name}": share} if group.product == "envoy" else {}


def parts(all_groups: Sequence[Group]) -> Mapping[str, float]:
    """Each group's share of all requests; of all groups in use where they are not counted."""
    counts = {g.row.name: g.tries if g.tries is not None else float(g.row.used)
              for g in all_groups}  # fmt: skip
    total = sum(counts.values()) or 1.0
    return {name: count / total for name, count in counts.items()}


def used(all_groups: Sequence[Group]) -> Iterator[Group]:
    """Groups that a route leads to, and where requests are counted, ones that got some."""
    return (g for g in all_groups if g.row.used and g.requests != 0)


def worst_member(members: Sequence[Served], share: float = 0.5) -> Served | None:
    """The member with that share of the failures, where there are others beside it."""
    failed = sum(m.failed or 0.0 for m in members)
    worst = max(members, key=lambda m: m.failed or 0.0, default=None)
    if worst is None or len(members) < 2 or not failed or (worst.failed or 0.0) < share * failed:
        return None
    return worst
