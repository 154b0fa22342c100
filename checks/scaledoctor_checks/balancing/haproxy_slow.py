"""One server that is slower than its fellows, though its health check is content."""

from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Severity, Step, Window, check
from scaledoctor.sources.haproxy import HaproxyNow, HaproxyStats
from scaledoctor.sources.haproxy_cfg import HaproxyCfg
from scaledoctor.sources.pgbouncer import PoolerPools
from scaledoctor_checks.balancing._balance import SLOWER, SLOWER_BY, TIMED, Laggard, laggards
from scaledoctor_checks.balancing._bounded import bounded
from scaledoctor_checks.balancing._haproxy import (
    SOURCE,
    Group,
    Served,
    Traffic,
    algorithm,
    traffic,
)
from scaledoctor_checks.balancing._haproxy_words import last_check, milliseconds, runtime, setting

LONG = 1.0
"""Seconds from which a request waits for something; below, a server is slow by itself too."""


@check("haproxy.slow-server", step=Step.SCALE_OUT)
def slow_server(
    stats: Window[HaproxyStats],
    now: Window[HaproxyNow],
    cfg: HaproxyCfg | None,
    pools: Window[PoolerPools] | None,
    /,
    *,
    times: float = SLOWER,
    seconds: float = SLOWER_BY,
    high: float = 0.3,
) -> Iterator[Finding]:
    """One server of a backend is slower than the others, and passes its health check.

    Why: taking turns, each server gets as many requests, so that every n-th one is slow, and
    clients pile up there until the others stand idle.
    How measured: time of a request is mean requests in hand over requests per second (Little's
    law), by server, against the others together: ``times`` as long and ``seconds`` longer, and
    no chance by a binomial test of what was in hand. HAProxy's own rtime is not used: it covers
    the last 1,024 requests, however old. High from ``high`` of all the requests' time on.
    A server that gets a quarter more than its share is loaded, not slow. Where a client of
    PgBouncer waited for the whole window, one that gives nothing back follows from that pool: it
    is the instance whose turn never came.
    Fix: mend it; until then drain it, or let the balancer look at open requests.
    When to ignore: when it answers other requests than its fellows, or streams for minutes.
    References: HAProxy, configuration manual, "balance leastconn"; J. Little, "A Proof for the
    Queuing Formula L = lambda W", 1961.
    """
    found = traffic(stats, now)
    yield from bounded(
        _slow(group, server, laggard, found, high, algorithm(group, cfg), _stuck(pools, laggard))
        for group in found.groups
        for laggard in laggards(
            [s.member for s in group.steady], slower=times, slower_by=seconds
        )
        for server in group.steady
        if server.row.name == laggard.member.name and not _long_lived(group, server, laggard)
    )  # fmt: skip


def _long_lived(group: Group, server: Served, laggard: Laggard) -> bool:
    """What stays for longer than the window may be a session that is meant to stay."""
    tunnels = group.row.mode != "http" or server.row.upgrades > 0
    return tunnels and laggard.seconds > server.window


def _stuck(pools: Window[PoolerPools] | None, laggard: Laggard) -> dict[str, float]:
    """Pools in whose queue somebody stood all the time; nothing for a server that does answer."""
    if pools is None or laggard.seconds < LONG:
        return {}
    stood = [{p.key for p in sample.pools if p.waiting} for sample in pools]
    return {
        f"pgbouncer.pool:{pool.key}": 1.0
        for pool in pools.last.pools
        if pool.maxwait >= max(LONG, pools.seconds) and all(pool.key in keys for keys in stood)
    }


def _slow(
    group: Group,
    server: Served,
    laggard: Laggard,
    all_of_it: Traffic,
    high: float,
    how: str,
    stuck: dict[str, float],
) -> Finding:
    excess = laggard.excess / server.window
    share = min(1.0, excess / group.in_flight) if group.in_flight else 0.0
    counted = server.requests >= TIMED and laggard.seconds <= server.window
    impact = all_of_it.held(excess + group.waiting * share)
    own, others = milliseconds(laggard.seconds), milliseconds(laggard.others)
    content = "is not checked" if not server.row.checked else f"passes its check ({_check(server)})"
    took = f"takes {own} for a request" if counted else "does not give its requests back"
    return Finding(
        subject=server.key,
        summary=f"{server.key} {took}, the other servers {others}, and {content}; it has "
        f"{server.in_flight:.1f} of the {group.in_flight:.1f} requests in hand",
        severity=Severity.HIGH if impact >= high else Severity.MEDIUM,
        confidence=Confidence.HIGH if counted else Confidence.MEDIUM,
        evidence=(
            Evidence("time of a request there", laggard.seconds, "s", None, "Little's law"),
            Evidence("time of a request at the others", laggard.others, "s", None,
                     "Little's law"),
            Evidence("requests in hand there, mean", server.in_flight, "requests", None, SOURCE),
            Evidence("requests that it got", server.requests, f"of {group.requests:.0f}", None,
                     SOURCE),
            Evidence("balancing", how or "not shown at this level", source=SOURCE),
        ),
        fixes=tuple(_fixes(group, server, how, laggard.others / laggard.seconds if counted else 0)),
        explains={group.key: share},
        waits_for=stuck,
        impact=impact,
    )  # fmt: skip


def _check(server: Served) -> str:
    return last_check(server.row)


def _fixes(group: Group, server: Served, how: str, speed: float) -> Iterator[Fix]:
    """``speed`` is its own against the others', 0 when it gives nothing back."""
    yield Fix(
        f"Drain {server.key}, and look at that machine",
        (runtime(f"set server {server.key} state drain"),),
        language="shell",
        risk="the other servers get its requests",
        verify=runtime("show stat") + f" | grep {server.row.name},  # scur falls to 0",
        undo=runtime(f"set server {server.key} state ready"),
    )
    if how != "leastconn":
        yield setting(
            "Balance by open requests, so that a slow server gets fewer",
            (f"# in backend {group.row.name}", "balance leastconn"),
            risk="a server that fails quickly draws requests: check for 5xx as well",
            verify="scaledoctor scan: the time in the backend falls",
            undo=f"balance {how}, and reload" if how else "the balance line before, and reload",
        )
    if how in ("", "roundrobin") and round(100 * speed) >= 1:
        weight = f"{100 * speed:.0f}%"
        yield Fix(
            f"Or, if it is a smaller machine for good, the weight of its speed: {weight}",
            (
                runtime(f"set weight {server.key} {weight}"),
                f"# and in haproxy.cfg: that share of its weight in server {server.row.name}",
            ),
            language="shell",
            risk="the other servers get what it does not",
            verify=runtime(f"get weight {server.key}"),
            undo=runtime(f"set weight {server.key} 100%"),
        )
